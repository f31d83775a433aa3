package live

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ti-mo/conntrack"
)

// ctDo runs f with a conntrack connection of the namespace.
func (ns *Netns) ctDo(what string, f func(*conntrack.Conn) error) error {
	return ns.thread.do(func() error {
		c, err := conntrack.Dial(nil)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		defer c.Close()
		if err := f(c); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// Entries dumps the namespace's connections, in the kernel's order.
func (ns *Netns) Entries() ([]Entry, error) {
	var entries []Entry
	err := ns.ctDo("dump conntrack entries", func(c *conntrack.Conn) error {
		flows, err := c.Dump(nil)
		if err != nil {
			return err
		}
		entries = make([]Entry, len(flows))
		for i := range flows {
			entries[i] = entryOf(&flows[i])
		}
		return nil
	})
	return entries, err
}

// FlushEntries removes every connection.
func (ns *Netns) FlushEntries() error {
	return ns.ctDo("flush conntrack entries", func(c *conntrack.Conn) error { return c.Flush() })
}

// CreateEntry puts a connection into the table as a privileged process may:
// both tuples, the zone, timeout, mark, the status bits and the TCP state are taken.
func (ns *Netns) CreateEntry(e *Entry) error {
	return ns.ctDo("create conntrack entry", func(c *conntrack.Conn) error { return c.Create(flowOf(e)) })
}

// DeleteEntry removes the connection with e's tuples and zone, and its ID if that is set.
func (ns *Netns) DeleteEntry(e *Entry) error {
	return ns.ctDo("delete conntrack entry", func(c *conntrack.Conn) error {
		f := flowOf(e)
		f.ID = e.ID
		return c.Delete(f)
	})
}

// Stats reads the namespace's counters.
func (ns *Netns) Stats() (Stats, error) {
	var global conntrack.StatsGlobal
	err := ns.ctDo("read conntrack statistics", func(c *conntrack.Conn) (err error) {
		global, err = c.StatsGlobal()
		return err
	})
	if err != nil {
		return Stats{}, err
	}
	var text []byte
	err = ns.thread.do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/stat/nf_conntrack")
		return err
	})
	if err != nil {
		return Stats{}, fmt.Errorf("read conntrack statistics: %w", err)
	}
	st, err := parseStats(string(text))
	st.Entries, st.Max = uint64(global.Entries), uint64(global.MaxEntries)
	return st, err
}

// parseStats reads a header of names and a line of hexadecimal numbers for
// each CPU. The count of entries stands in every line and is left out.
func parseStats(text string) (Stats, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	names := strings.Fields(lines[0])
	st := Stats{Counters: make(map[string]uint64, len(names))}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) != len(names) {
			return Stats{}, fmt.Errorf("conntrack statistics: %d names but %d numbers", len(names), len(fields))
		}
		for i, f := range fields {
			n, err := strconv.ParseUint(f, 16, 64)
			if err != nil {
				return Stats{}, fmt.Errorf("conntrack statistics: %s: %w", names[i], err)
			}
			if names[i] != "entries" {
				st.Counters[names[i]] += n
			}
		}
	}
	return st, nil
}

func tupleOf(t conntrack.Tuple) Tuple {
	return Tuple{
		Src: t.IP.SourceAddress, Dst: t.IP.DestinationAddress,
		Proto:   t.Proto.Protocol,
		SrcPort: t.Proto.SourcePort, DstPort: t.Proto.DestinationPort,
		ICMPType: t.Proto.ICMPType, ICMPCode: t.Proto.ICMPCode, ICMPID: t.Proto.ICMPID,
		Zone: t.Zone,
	}
}

func entryOf(f *conntrack.Flow) Entry {
	e := Entry{
		Orig: tupleOf(f.TupleOrig), Reply: tupleOf(f.TupleReply), Master: tupleOf(f.TupleMaster),
		Zone: f.Zone, Status: uint32(f.Status), Timeout: f.Timeout,
		Mark: f.Mark, ID: f.ID, Use: f.Use,
		OrigCount:  Counter{f.CountersOrig.Packets, f.CountersOrig.Bytes},
		ReplyCount: Counter{f.CountersReply.Packets, f.CountersReply.Bytes},
		Labels:     f.Labels, Helper: f.Helper.Name, SecCtx: string(f.SecurityContext),
	}
	if !f.Timestamp.Start.IsZero() {
		e.StartNS = f.Timestamp.Start.UnixNano()
	}
	if t := f.ProtoInfo.TCP; t != nil {
		e.TCP = &TCPInfo{
			State:      t.State,
			OrigWScale: t.OriginalWindowScale, ReplyWScale: t.ReplyWindowScale,
			// The kernel sends a struct of flags and mask, two bytes; the flags stand first in memory.
			OrigFlags: uint8(t.OriginalFlags >> 8), ReplyFlags: uint8(t.ReplyFlags >> 8),
		}
	}
	return e
}

func timoTuple(t Tuple) conntrack.Tuple {
	return conntrack.Tuple{
		IP: conntrack.IPTuple{SourceAddress: t.Src, DestinationAddress: t.Dst},
		Proto: conntrack.ProtoTuple{
			Protocol: t.Proto, SourcePort: t.SrcPort, DestinationPort: t.DstPort,
			ICMPv4: t.Proto == 1, ICMPv6: t.Proto == 58,
			ICMPType: t.ICMPType, ICMPCode: t.ICMPCode, ICMPID: t.ICMPID,
		},
		Zone: t.Zone,
	}
}

func flowOf(e *Entry) conntrack.Flow {
	f := conntrack.Flow{
		TupleOrig: timoTuple(e.Orig), TupleReply: timoTuple(e.Reply),
		Zone: e.Zone, Status: conntrack.Status(e.Status), Timeout: e.Timeout, Mark: e.Mark,
		Labels: e.Labels,
	}
	if f.Status != 0 {
		// What is in the table is confirmed; the kernel refuses to hear otherwise.
		f.Status |= conntrack.StatusConfirmed
	}
	if e.TCP != nil {
		f.ProtoInfo.TCP = &conntrack.ProtoInfoTCP{
			State:               e.TCP.State,
			OriginalWindowScale: e.TCP.OrigWScale, ReplyWindowScale: e.TCP.ReplyWScale,
			OriginalFlags: uint16(e.TCP.OrigFlags)<<8 | 0xff, ReplyFlags: uint16(e.TCP.ReplyFlags)<<8 | 0xff,
		}
	}
	return f
}
