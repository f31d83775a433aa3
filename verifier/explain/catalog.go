package explain

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bpfct/bpfct/internal/errno"
)

// Class is a kind of refusal.
type Class struct {
	// Name is what the class and its page in docs/errors are called.
	Name string
	// Errnos are the ones that the kernel refuses a program of the class with.
	Errnos []errno.Errno
	// Messages are the kernel's, with "%d", "%s" and the like for what varies; a name
	// stands before it in braces: "R{reg}%d !read_ok".
	Messages []string
	// What is wrong, in a sentence; names of the message's parts stand in braces.
	What string
	// Why is the rule behind it, for the page.
	Why string
	// Help is what usually mends it, a line each.
	Help []string

	// outer is set where the message comes behind one about a detail, and says more.
	outer bool
	// facts finds the places on the path that decided, nil for only the last one.
	facts func(q *query) []note
	// at is what the place of the refusal is said to do.
	at string

	patterns []*regexp.Regexp
}

// Classes is the catalogue, in the order in which messages are looked up.
func Classes() []*Class { return slices.Clone(catalogue()) }

// catalogue makes the catalogue once: nobody changes it.
var catalogue = sync.OnceValue(func() []*Class {
	var all []*Class
	for _, list := range [][]Class{references(), pointers(), memory(), contexts(), objects(), calls(), sections(), flow()} {
		for i := range list {
			c := &list[i]
			for _, m := range c.Messages {
				c.patterns = append(c.patterns, pattern(m))
			}
			all = append(all, c)
		}
	}
	return all
})

var verb = regexp.MustCompile(`(?:\\\{(\w+)\\\})?%([dsxu])`)

// pattern turns a message into an expression that matches the whole line.
func pattern(message string) *regexp.Regexp {
	s := regexp.QuoteMeta(message)
	s = verb.ReplaceAllStringFunc(s, func(m string) string {
		sub := verb.FindStringSubmatch(m)
		what := `.*?`
		switch sub[2] {
		case "d", "u":
			what = `-?\d+`
		case "x":
			what = `(?:0x)?[0-9a-f]+`
		}
		if sub[1] != "" {
			return "(?P<" + sub[1] + ">" + what + ")"
		}
		return "(?:" + what + ")"
	})
	return regexp.MustCompile("^" + s + "$")
}

var verbName = regexp.MustCompile(`\{\w+\}`)

// match finds the named parts of a message of the class.
func (c *Class) match(line string) (map[string]string, bool) {
	for _, p := range c.patterns {
		m := p.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		parts := make(map[string]string)
		for i, name := range p.SubexpNames() {
			if name != "" {
				parts[name] = m[i]
			}
		}
		return parts, true
	}
	return nil, false
}

// Lookup finds the class of a refusal by the lines that the kernel writes about it, nil
// for one that the catalogue does not have. The first line that is known decides, but
// where a later one tells what the first is a detail of.
func Lookup(lines ...string) *Class {
	c, _ := lookup(lines)
	return c
}

func lookup(lines []string) (found *Class, parts map[string]string) {
	all := catalogue()
	for _, l := range lines {
		for _, c := range all {
			if found != nil && !c.outer {
				continue
			}
			if p, ok := c.match(strings.TrimSpace(l)); ok {
				found, parts = c, p
				break
			}
		}
	}
	return found, parts
}
