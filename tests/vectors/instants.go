package main

import (
	"fmt"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	instantsAtRandom   = 900
	instantsAtChanges  = 2100
	slotsPerExpression = 4
)

// zones have what is hard about time zones: changes by half an hour, at midnight and a minute past it, by two hours, a
// day left out, offsets that are no whole hours, changes of the offset for good, Ramadan.
var zones = []string{
	"Etc/UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
	"America/Havana", "America/St_Johns", "America/Caracas", "America/Asuncion", "America/Scoresbysund", "America/Nuuk",
	"Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu",
	"Asia/Pyongyang", "Asia/Amman", "Atlantic/Azores", "Antarctica/Troll", "Antarctica/Casey", "Pacific/Apia",
	"Pacific/Chatham", "Pacific/Norfolk",
}

// rare are expressions that fire seldom or never.
var rare = []string{
	"0 0 29 2 *", "0 0 29 2 1", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 4 0", "0 0 31 */2 *", "59 23 31 12 *",
	"0 12 29 2 ?", "30 2 29 2 */2", "0 0 , * ,", ", * * * *", "0 0 1 1 *", "15 3 31 1,3,5,7,8,10,12 MON",
}

// hard are changes that robfig does not get over.
var hard = []struct{ expression, zone, after string }{
	{"0 0 * * 0", "Pacific/Apia", "2011-12-30T09:00:00Z"},
	{"30 6 1 * *", "Pacific/Apia", "2011-12-29T21:00:00Z"},
	{"0 12 * * 1", "Pacific/Fakaofo", "2011-12-30T10:00:00Z"},
	{"0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z"},
	{"0 12 30 * *", "Pacific/Apia", "2011-12-29T12:00:00Z"},
	{"56-56 3 * * *", "Pacific/Chatham", "2013-04-06T00:00:00Z"},
}

// delays are durations of @every.
var delays = []string{
	"1m", "60s", "61s", "90.9s", "1m0.999999999s", "1.5m", "17m", "59m59s", "1h", "90m", "1h30m", "5h", "23h", "24h", "25h", "36h",
	"168h", "720h", "8760h", "87840h",
}

var (
	begin = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	end   = time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC)
)

// instants is expressions with a zone, an instant, and the slots that follow it, by robfig.
func instants(random *rand.Rand) []string {
	var lines []string
	for _, expression := range rare {
		for year := 2024; year <= 2104; year += 16 {
			after := time.Date(year, time.Month(1+random.Intn(12)), 1+random.Intn(28), 0, 0, 0, 0, time.UTC)
			lines = append(lines, instant(expression, "Etc/UTC", after))
		}
	}
	for _, one := range hard {
		after, err := time.Parse(time.RFC3339, one.after)
		if err != nil {
			log.Fatal(err)
		}
		lines = append(lines, instant(one.expression, one.zone, after))
	}
	for i := 0; i < instantsAtRandom; i++ {
		after := begin.Add(time.Duration(random.Int63n(int64(end.Sub(begin)))))
		lines = append(lines, instant(expression(random, -1), zones[random.Intn(len(zones))], after))
	}
	for i := 0; i < instantsAtChanges; i++ {
		zone := zones[i%len(zones)]
		change, ok := someChange(random, zone)
		if !ok {
			continue
		}
		after := change.Add(-time.Duration(random.Int63n(int64(36 * time.Hour))))
		hour := change.Add(time.Duration(random.Intn(4)-2) * 30 * time.Minute).Hour()
		lines = append(lines, instant(expression(random, hour), zone, after))
	}
	for _, zone := range everyZone() {
		after := begin.Add(time.Duration(random.Int63n(int64(end.Sub(begin)))))
		if change, ok := someChange(random, zone); ok {
			after = change.Add(-time.Duration(random.Int63n(int64(3 * time.Hour))))
		}
		minute := (after.In(location(zone)).Minute() + random.Intn(60)) % 60
		lines = append(lines, instant(fmt.Sprintf("%d * * * *", minute), zone, after))
	}
	for _, delay := range delays {
		after := begin.Add(time.Duration(random.Int63n(int64(end.Sub(begin)))))
		lines = append(lines, instant("@every "+delay, zones[random.Intn(len(zones))], after))
	}
	return lines
}

// everyZone is the names in the file `zones` that the tzdata package has beside its zones.
func everyZone() []string {
	names, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("ZONEINFO")), "zones"))
	if err != nil {
		log.Fatalf("ZONEINFO is to be the folder of the tzdata package's zones: %v", err)
	}
	return strings.Fields(string(names))
}

// someChange is an instant at which the zone's offset changes, in the zone.
func someChange(random *rand.Rand, zone string) (time.Time, bool) {
	at := begin.Add(time.Duration(random.Int63n(int64(end.Sub(begin))))).In(location(zone))
	_, change := at.ZoneBounds()
	if change.IsZero() || change.After(end) {
		change, _ = at.ZoneBounds()
	}
	return change, !change.IsZero() && change.After(begin)
}

// expression is one at random, for the hour given where it is not negative.
func expression(random *rand.Rand, hour int) string {
	parts := make([]string, len(fields))
	for i, field := range fields {
		parts[i] = field.plain(random)
	}
	if hour >= 0 {
		switch random.Intn(4) {
		case 0:
			parts[1] = "*"
		case 1:
			parts[1] = fmt.Sprintf("*/%d", 2+random.Intn(5))
		default:
			parts[1] = fmt.Sprint(hour)
		}
		for i := 2; i < len(parts); i++ {
			if random.Intn(4) > 0 {
				parts[i] = "*"
			}
		}
	}
	return strings.Join(parts, " ")
}

func (f field) plain(random *rand.Rand) string {
	number := func() int { return f.least + random.Intn(f.most-f.least+1) }
	switch random.Intn(8) {
	case 0, 1, 2:
		return "*"
	case 3:
		return fmt.Sprintf("*/%d", 1+random.Intn(f.most))
	case 4:
		first := number()
		return fmt.Sprintf("%d-%d", first, first+random.Intn(f.most-first+1))
	case 5:
		return fmt.Sprintf("%d,%d", number(), number())
	default:
		return fmt.Sprint(number())
	}
}

// instant is one line: expression, zone, instant and, as seconds after the one before, the slots that follow; `never`
// where there is none, `hangs` where robfig does not answer, `repeats` where it answers with the instant it was asked
// about.
func instant(expression, zone string, after time.Time) string {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		log.Fatalf("%q: %v", expression, err)
	}
	after = after.Truncate(time.Second).In(location(zone))
	line := fmt.Sprintf("%s|%s|%d|", expression, zone, after.Unix())
	for i := 0; i < slotsPerExpression; i++ {
		slot, hangs := next(schedule, after)
		if hangs {
			return line + " hangs"
		}
		if slot.IsZero() {
			return line + " never"
		}
		if !slot.After(after) {
			return line + " repeats"
		}
		line += fmt.Sprintf(" %d", slot.Unix()-after.Unix())
		after = slot
	}
	return line
}

func location(zone string) *time.Location {
	location, err := time.LoadLocation(zone)
	if err != nil {
		log.Fatal(err)
	}
	return location
}
