package trial

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// Difference is one thing that two reports disagree on.
type Difference struct {
	// Where names it: "program nat_egress, packet 3: return value".
	Where string `json:"where"`
	// A and B are what the two say, "" for nothing.
	A string `json:"a"`
	B string `json:"b"`
}

// String is the difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s != %s", d.Where, orNothing(d.A), orNothing(d.B))
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// CompareOptions say what may differ.
type CompareOptions struct {
	// Ignore are names of variables and maps that are not compared: what holds
	// times, random numbers or addresses.
	Ignore []string
}

// timeoutSlack is by how many seconds remaining times may differ beside those that
// a side took: the kernel's clock goes on during a run, and its dump rounds.
const timeoutSlack = 2

// Compare lists how b differs from a: return values, packets by field, variables,
// maps and connections. What only bpfct knows (trace, redirects) is left out, and
// so are ids.
func Compare(a, b *Report, opts CompareOptions) []Difference {
	c := comparison{ignore: opts.Ignore, slack: timeoutSlack + int(max(a.took, b.took)/time.Second)}
	for i := range max(len(a.Programs), len(b.Programs)) {
		if i >= len(a.Programs) || i >= len(b.Programs) {
			c.add("programs", fmt.Sprint(len(a.Programs)), fmt.Sprint(len(b.Programs)))
			break
		}
		c.program(&a.Programs[i], &b.Programs[i])
	}
	c.maps(a.Maps, b.Maps)
	c.entries(a.Entries, b.Entries)
	return c.found
}

type comparison struct {
	ignore []string
	slack  int // seconds by which remaining times may differ
	found  []Difference
}

func (c *comparison) add(where, a, b string) {
	if a != b {
		c.found = append(c.found, Difference{where, a, b})
	}
}

func (c *comparison) program(a, b *Program) {
	at := "program " + a.Program
	for i := range min(len(a.Runs), len(b.Runs)) {
		ra, rb := &a.Runs[i], &b.Runs[i]
		where := at
		if len(a.Runs) > 1 {
			where = fmt.Sprintf("%s, packet %d", at, i+1)
		}
		c.add(where+": fault", ra.Fault, rb.Fault)
		c.add(where+": return value", Verdict(a.Type, ra.Retval), Verdict(b.Type, rb.Retval))
		for _, d := range packet.Diff(ra.Packet, rb.Packet) {
			c.add(fmt.Sprintf("%s: %s.%s", where, d.Layer, d.Field), d.A, d.B)
		}
	}
	c.add(at+": runs", fmt.Sprint(len(a.Runs)), fmt.Sprint(len(b.Runs)))
	for i := range a.Variables {
		va := &a.Variables[i]
		if slices.Contains(c.ignore, va.Name) {
			continue
		}
		where := fmt.Sprintf("%s: variable %s", at, va.Name)
		vb, ok := b.Variables.Get(va.Name)
		if !ok {
			c.add(where, Text(va.Value()), "")
			continue
		}
		if !bytes.Equal(va.Bytes, vb.Bytes) {
			c.add(where, Text(va.Value()), Text(vb.Value()))
		}
	}
}

func (c *comparison) maps(a, b []Map) {
	for i := range a {
		ma := &a[i]
		if slices.Contains(c.ignore, ma.Name) {
			continue
		}
		j := slices.IndexFunc(b, func(m Map) bool { return m.Name == ma.Name })
		if j < 0 {
			c.add("map "+ma.Name, "present", "")
			continue
		}
		c.items(ma, &b[j])
	}
}

// items merges two lists that are sorted by key.
func (c *comparison) items(a, b *Map) {
	i, j := 0, 0
	for i < len(a.Items) || j < len(b.Items) {
		order := 0
		switch {
		case i == len(a.Items):
			order = 1
		case j == len(b.Items):
			order = -1
		default:
			order = bytes.Compare(a.Items[i].Key, b.Items[j].Key)
		}
		switch {
		case order < 0:
			key, value := a.Decode(a.Items[i])
			c.add(fmt.Sprintf("map %s[%s]", a.Name, Text(key)), Text(value), "")
			i++
		case order > 0:
			key, value := b.Decode(b.Items[j])
			c.add(fmt.Sprintf("map %s[%s]", b.Name, Text(key)), "", Text(value))
			j++
		default:
			if !sameItem(a.Items[i], b.Items[j]) {
				key, va := a.Decode(a.Items[i])
				_, vb := b.Decode(b.Items[j])
				c.add(fmt.Sprintf("map %s[%s]", a.Name, Text(key)), Text(va), Text(vb))
			}
			i, j = i+1, j+1
		}
	}
}

// sameItem compares values; of a per-CPU map those of the CPUs that both have,
// the other ones being zero.
func sameItem(a, b Item) bool {
	if a.PerCPU == nil || b.PerCPU == nil {
		return bytes.Equal(a.Value, b.Value)
	}
	for i := range max(len(a.PerCPU), len(b.PerCPU)) {
		var va, vb []byte
		if i < len(a.PerCPU) {
			va = a.PerCPU[i]
		}
		if i < len(b.PerCPU) {
			vb = b.PerCPU[i]
		}
		if !bytes.Equal(bytes.TrimRight(va, "\x00"), bytes.TrimRight(vb, "\x00")) {
			return false
		}
	}
	return true
}

func (c *comparison) entries(a, b []Entry) {
	a, b = sorted(a), sorted(b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i].key() < b[j].key():
			c.add("connection"+a[i].at(), a[i].Text, "")
			i++
		case i == len(a) || a[i].key() > b[j].key():
			c.add("connection"+b[j].at(), "", b[j].Text)
			j++
		default:
			c.entry(&a[i], &b[j])
			i, j = i+1, j+1
		}
	}
}

func (c *comparison) entry(a, b *Entry) {
	where := "connection" + a.at() + " " + a.Orig.String()
	c.add(where+": status", strings.Join(a.Status, ","), strings.Join(b.Status, ","))
	c.add(where+": mark", fmt.Sprint(a.Mark), fmt.Sprint(b.Mark))
	if d := a.Timeout - b.Timeout; d > c.slack || d < -c.slack {
		c.add(where+": timeout", fmt.Sprint(a.Timeout), fmt.Sprint(b.Timeout))
	}
}

// key orders connections by what they are; a translation that differs makes two
// connections out of one. The kernel's dump shows a zone only where its directions
// are one of the three that there should be.
func (e *Entry) key() string {
	zone, dir := e.Zone, e.ZoneDir
	if dir == 0 || dir > uint8(conntrack.ZoneDirDefault) {
		zone, dir = 0, 0
	}
	return fmt.Sprintf("%s%s %d %v %v %d/%d", e.in(), e.Family, e.Proto, e.Orig, e.Reply, zone, dir)
}

func sorted(entries []Entry) []Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return strings.Compare(a.key(), b.key()) })
}
