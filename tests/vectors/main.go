// Command vectors asks robfig/cron, which Kubernetes' CronJob controller uses, how it reads expressions and when they
// fire. Its answers are what the tests of trending.schedule hold our own arithmetic against.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

// patience is how long robfig may search for one slot. It goes round in circles for ever where a whole day is left
// out.
const patience = 2 * time.Second

func main() {
	random := rand.New(rand.NewSource(20261123))
	write("readings.txt", readings(random))
	write("instants.txt", instants(random))
}

func write(name string, lines []string) {
	file, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	writer := bufio.NewWriter(file)
	for _, line := range lines {
		fmt.Fprintln(writer, line)
	}
	if err := writer.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}

// reading tells how robfig reads an expression: its five bit sets in hexadecimal, the seconds of @every, the zone that it
// names, or "rejected".
func reading(expression string) string {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return "rejected"
	}
	switch read := schedule.(type) {
	case *cron.SpecSchedule:
		if read.Location != time.Local {
			return "zone " + read.Location.String()
		}
		return fmt.Sprintf("%x %x %x %x %x", read.Minute, read.Hour, read.Dom, read.Month, read.Dow)
	case cron.ConstantDelaySchedule:
		return fmt.Sprintf("every %d", int64(read.Delay/time.Second))
	default:
		log.Fatalf("%q became a %T", expression, schedule)
		return ""
	}
}

func quoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		log.Fatal(err)
	}
	return string(quoted)
}

// next is robfig's answer to when a schedule fires after an instant; hangs where there is none in time.
func next(schedule cron.Schedule, after time.Time) (slot time.Time, hangs bool) {
	answer := make(chan time.Time, 1)
	go func() { answer <- schedule.Next(after) }()
	select {
	case slot = <-answer:
		return slot, false
	case <-time.After(patience):
		return time.Time{}, true
	}
}
