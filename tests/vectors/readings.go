package main

import (
	"fmt"
	"math/rand"
	"strings"
)

const readingsAtRandom = 1200

// curious are expressions at the edges of the grammar.
var curious = []string{
	"* * * * *", "? ? ? ? ?", "0 0 1 1 0", "59 23 31 12 6", "*/15 8-18/2 * * MON-FRI", "+5 +0 +1 +1 +0", "1,,2 * * * *",
	",1 * * * *", "1, * * * *", ", * * * *", "* * * * ,", "0 0 1 * ,", "0 0 , * 1", "0 0 , * ,", ",,,, ,, , , ,",
	"*/100 * * * *", "*/0 * * * *", "*/00 * * * *", "*/1 */1 */1 */1 */1", "*/01 * * * *", "*/+1 * * * *", "*/-1 * * * *",
	"*/-0 * * * *", "*/ * * * *", "/5 * * * *", "5/ * * * *", "5/10 * * * *", "70/10 * * * *", "5-3 * * * *",
	"5-5 * * * *", "5-59/100 * * * *", "5-60 * * * *", "-5 * * * *", "5- * * * *", "1-2-3 * * * *", "*-5 * * * *",
	"*- * * * *", "*-x-y * * * *", "?-x/2 * * * *", "*-5/1 * * * *", "** * * * *", "*5 * * * *", "1/2/3 * * * *",
	"60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 7", "* * * * 0-7",
	"* * * * SUN", "* * * * sun-sat", "* * * * sAt-SuN", "* * * * sunday", "* * * JAN,feb,Mar *", "* * * jan-dec/3 *",
	"* * * jan/5 *", "* * jan * *", "* * * mon *", "* * * */jan *", "0 0 31 2 *", "0 0 29 2 *", "0 0 30 2 1",
	"0 0 */2 * 1", "0 0 */1 * 1", "0 0 ? * 1", "0 0 1-31 * 1", "0 0 *,5 * 1", "0 0 5,* * 1", "0 0 */2,* * 1",
	"0 0 13 * FRI", "0 0 13 * */2", "0 0 13 * */1", "00 00 01 01 00", "000000000000000000000000000005 * * * *",
	"+000000000000000000000000000005 * * * *", "++5 * * * *", "*/9223372036854775807 * * * *",
	"*/9223372036854775808 * * * *", "*/00000000000009223372036854775807 * * * *", "*/99999999999999999999 * * * *",
	"1_0 * * * *", "0x5 * * * *", "1e1 * * * *", "1.5 * * * *", "٣ * * * *", "５ * * * *", "* * * * ſun", "* * * maʀ *",
	"L * * * *", "* * L * *", "* * 15W * *", "* * * * 5#2", "H * * * *", "@ * * * *", "%5 * * * *",
	"", " ", "*", "* *", "* * * *", "* * * * * *", "0 * * * * *", "0 0 * * * * 2026", " * * * * * ", "*\t*\t*\t*\t*",
	"*  *   *    *     *", "*\n* * * *\n", "*\v*\f*\r* *", "*\u00a0*\u2003*\u3000*\u0085*", "*\x1c* * * *",
	"*\x1f* * * * *", "*\u200b* * * * *", "*\u180e* * * *", "*\ufeff * * * *", "*\x00 * * * *", "* * * * *\x00",
	"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@reboot", "@Hourly", "@HOURLY",
	" @hourly", "@hourly ", "@", "@@hourly", "@hourly * * * *", "@every", "@every ", "@every  1h", "@every 1h ", "@every1h",
	"@Every 1h", "@every\t1h", "@every 1h", "@every 90m", "@every 1h30m", "@every 1m", "@every 60s", "@every 59s",
	"@every 59.999s", "@every 60000ms", "@every 60000000us", "@every 60000000µs", "@every 60000000μs",
	"@every 60000000000ns", "@every 59999999999ns", "@every 1m1ns", "@every 90", "@every 0", "@every +0", "@every -0",
	"@every 0s", "@every -5m", "@every +5m", "@every ++5m", "@every .5h", "@every 1.h", "@every .h", "@every 1..5h",
	"@every 1.5h", "@every 1.5.5h", "@every 4.35m", "@every 0.7h", "@every 1.1m", "@every 8.7m", "@every 0.0166666667h",
	"@every 0.01666666666666666666666666666666h", "@every 0.99999999999999999999h", "@every 1h1h1h", "@every 1s1h",
	"@every 1d", "@every 1w", "@every 1H", "@every 1 h", "@every 1h 30m", "@every h", "@every 1", "@every ٣h",
	"@every 2562047h47m16.854775807s", "@every 2562047h47m16.854775808s", "@every 9999999h", "@every 878400h",
	"TZ=UTC 0 * * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "TZ=Nowhere 0 * * * *", "TZ= 0 * * * *", "tz=UTC 0 * * * *",
	" TZ=UTC 0 * * * *", "CRON_TZ=UTC @hourly", "TZ=UTC @every 1h", "0 * * * * TZ=UTC", "TZ=UTC TZ=UTC 0 * * * *",
	"@every 878401h", "@every 00000000000000000000001h", "@every 9223372036854775807ns", "@every 9223372036854775808ns",
}

type field struct {
	least, most int
	names       []string
}

var fields = []field{
	{0, 59, nil},
	{0, 23, nil},
	{1, 31, nil},
	{1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{0, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// readings is every curious expression and some made at random, many with something wrong in them, each with how
// robfig reads it.
func readings(random *rand.Rand) []string {
	expressions := append([]string{}, curious...)
	for len(expressions) < len(curious)+readingsAtRandom {
		parts := make([]string, len(fields))
		for i, field := range fields {
			parts[i] = field.list(random)
		}
		if random.Intn(12) == 0 {
			parts = parts[:1+random.Intn(len(parts)-1)]
		}
		expressions = append(expressions, strings.Join(parts, " "))
	}
	lines := make([]string, len(expressions))
	for i, expression := range expressions {
		lines[i] = quoted(expression) + " " + reading(expression)
	}
	return lines
}

func (f field) list(random *rand.Rand) string {
	list := f.span(random)
	for random.Intn(5) == 0 {
		list += strings.Repeat(",", 1+random.Intn(8)/7) + f.span(random)
	}
	return list
}

func (f field) span(random *rand.Rand) string {
	span := "*"
	switch random.Intn(6) {
	case 0:
		span = f.value(random)
	case 1, 2:
		span = f.value(random) + "-" + f.value(random)
	case 3:
		span = "?"
	}
	if random.Intn(4) == 0 {
		span += fmt.Sprintf("/%d", random.Intn(f.most+3))
	}
	return span
}

// value is mostly one that the field can have.
func (f field) value(random *rand.Rand) string {
	if f.names != nil && random.Intn(4) == 0 {
		name := f.names[random.Intn(len(f.names))]
		if random.Intn(2) == 0 {
			name = strings.ToUpper(name)
		}
		return name
	}
	if random.Intn(60) == 0 {
		return fmt.Sprint(f.most + 1)
	}
	if random.Intn(60) == 0 {
		return fmt.Sprint(f.least - 1)
	}
	sign := ""
	if random.Intn(10) == 0 {
		sign = "+"
	}
	return fmt.Sprintf("%s%0*d", sign, 1+random.Intn(8)/7, f.least+random.Intn(f.most-f.least+1))
}
