package contract

import (
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
)

const (
	confirmed = uint32(conntrack.IPSConfirmed)
	// settable are the bits that a program may set.
	settable = conntrack.IPSSeenReply | conntrack.IPSAssured | conntrack.IPSFixedTimeout | conntrack.IPSHelper
	// forbidden are those whose change is refused.
	forbidden = conntrack.IPSExpected | conntrack.IPSConfirmed | conntrack.IPSDying
)

// left wants so many jiffies to be left, or one less for each that passed since.
func (e *env) left(r *ops.Result, want int32) {
	e.Helper()
	passed := int32(r.After - e.out.Results[len(e.out.Results)-1][0].Before)
	if got := ops.Left(r); got > want+passed || got < want-passed {
		e.Errorf("%d jiffies left, want %d (%d passed)", got, want, passed)
	}
}

func TestFacts_AfterAlloc(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc())
		equal(e, "status", r[0].View.Status, 0)
		equal(e, "timeout", r[0].View.Timeout, 2500)
		equal(e, "mark", r[0].View.Mark, 0)
		equal(e, "references", r[0].View.Use, 0)
	})
}

func TestFacts_AfterInsert(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), do(ops.Insert, 0))
		equal(e, "status", r[1].View.Status, confirmed)
		equal(e, "references", r[1].View.Use, 2)
		e.left(&r[1], 2500)
	})
}

// timeouts are milliseconds and the jiffies of 4 ms that they make.
var timeouts = []struct {
	ms uint32
	j  int32
}{
	{0, 0}, {1, 1}, {3, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 3}, {999, 250}, {1000, 250}, {10000, 2500}, {3600000, 900000},
	{0x7fffffff, 536870912}, {0x80000000, 1<<31 - 1}, {0xffffffff, 1<<31 - 1},
}

func TestFacts_SetTimeout(t *testing.T) {
	claim(t, func(e *env) {
		for _, to := range timeouts {
			r := e.good(e.alloc(), do(ops.SetTimeout, to.ms), do(ops.Insert, 0))
			equal(e, "timeout", int32(r[1].View.Timeout), to.j)
			e.left(&r[2], to.j)
		}
	})
}

func TestFacts_ChangeTimeout(t *testing.T) {
	claim(t, func(e *env) {
		for _, to := range timeouts {
			r := e.good(e.alloc(), do(ops.Insert, 0), do(ops.ChangeTimeout, to.ms), do(ops.Read, 0))
			e.left(&r[2], to.j)
			e.left(&r[3], to.j)
		}
	})
}

func TestFacts_FixedTimeout(t *testing.T) {
	claim(t, func(e *env) {
		fixed := uint32(conntrack.IPSFixedTimeout)
		for _, calls := range [][]ops.Op{
			{e.alloc(), do(ops.SetStatus, fixed), do(ops.Insert, 0), do(ops.ChangeTimeout, 60000)},
			{e.alloc(), do(ops.Insert, 0), do(ops.ChangeStatus, fixed|confirmed), do(ops.ChangeTimeout, 60000)},
		} {
			r := e.run(calls...)
			e.ok(calls[:3], r[:3])
			equal(e, "returned", r[3].Ret, -int32(errno.EPERM))
			e.left(&r[3], 2500)
		}
	})
}

func TestFacts_Expired(t *testing.T) {
	claim(t, func(e *env) {
		calls := []ops.Op{e.alloc(), do(ops.Insert, 0), do(ops.ChangeTimeout, 0), e.lookup(), do(ops.Read, 0), do(ops.ChangeTimeout, 60000)}
		r := e.run(calls...)
		e.ok(calls[:3], r[:3])
		e.fails(calls[3], &r[3], errno.ENOENT)
		equal(e, "status of what is held", conntrack.Status(r[4].View.Status), conntrack.IPSConfirmed|conntrack.IPSDying)
		equal(e, "references", r[4].View.Use, 1)
		equal(e, "returned", r[5].Ret, -int32(errno.ETIME))
		equal(e, "entries", len(e.dump()), 0)
		// One that was inserted with no time is gone at once.
		e.run(e.alloc(), do(ops.SetTimeout, 0), do(ops.Insert, 0))
		equal(e, "entries", len(e.dump()), 0)
	})
}

func TestFacts_SetStatusEBUSY(t *testing.T) {
	claim(t, func(e *env) {
		for bit := range 32 {
			s := conntrack.Status(1) << bit
			r := e.run(e.alloc(), do(ops.SetStatus, uint32(s)))
			want := int32(0)
			if s&forbidden != 0 {
				want = -int32(errno.EBUSY)
			}
			equal(e, s.String(), r[1].Ret, want)
		}
	})
}

func TestFacts_SetStatusBits(t *testing.T) {
	claim(t, func(e *env) {
		for bit := range 32 {
			s := conntrack.Status(1) << bit
			r := e.run(e.alloc(), do(ops.SetStatus, uint32(s)), do(ops.Insert, 0))
			equal(e, s.String()+" before insert", conntrack.Status(r[1].View.Status), s&settable)
			equal(e, s.String()+" after it", conntrack.Status(r[2].View.Status), s&settable|conntrack.IPSConfirmed)
		}
	})
}

func TestFacts_ChangeStatusEBUSY(t *testing.T) {
	claim(t, func(e *env) {
		set := conntrack.IPSSeenReply | conntrack.IPSAssured
		for _, c := range []struct {
			had, to conntrack.Status
			ok      bool
		}{
			{0, 0, false}, {0, conntrack.IPSConfirmed, true}, {0, set, false}, {0, set | conntrack.IPSConfirmed, true},
			{set, set | conntrack.IPSConfirmed, true}, {set, conntrack.IPSConfirmed, false},
			{set, conntrack.IPSConfirmed | conntrack.IPSSeenReply, false}, {set, conntrack.IPSConfirmed | conntrack.IPSAssured, false},
			{conntrack.IPSFixedTimeout, conntrack.IPSConfirmed, true}, {conntrack.IPSHelper, conntrack.IPSConfirmed, true},
		} {
			r := e.run(e.alloc(), do(ops.SetStatus, uint32(c.had)), do(ops.Insert, 0), do(ops.ChangeStatus, uint32(c.to)))
			want, status := -int32(errno.EBUSY), c.had|conntrack.IPSConfirmed
			if c.ok {
				want, status = 0, status|c.to&settable
			}
			equal(e, c.had.String()+" to "+c.to.String(), r[3].Ret, want)
			equal(e, "status", conntrack.Status(r[3].View.Status), status)
		}
	})
}

func TestFacts_ChangeStatusBits(t *testing.T) {
	claim(t, func(e *env) {
		for bit := range 32 {
			s := conntrack.Status(1) << bit
			r := e.run(e.alloc(), do(ops.Insert, 0), do(ops.ChangeStatus, uint32(s)|confirmed))
			want := int32(0)
			if s&(conntrack.IPSExpected|conntrack.IPSDying) != 0 {
				want = -int32(errno.EBUSY)
			}
			equal(e, s.String(), r[2].Ret, want)
			equal(e, "status", conntrack.Status(r[2].View.Status), s&settable|conntrack.IPSConfirmed)
		}
	})
}

func TestFacts_InsertOfTaken(t *testing.T) {
	claim(t, func(e *env) {
		zero := func(o *ops.Options) { o.Error = 0 }
		for _, reverse := range []bool{false, true} {
			again := with(e.alloc(), zero)
			again.Slot = 1
			if reverse {
				again.SetTuple(e.at(server, dport), e.at(client, sport))
			}
			r := e.run(e.alloc(), do(ops.Insert, 0), again, ops.Op{Code: ops.Insert, Slot: 1}, ops.Op{Code: ops.Read, Slot: 1})
			equal(e, "alloc", r[2].Ret, 1)
			equal(e, "error", r[2].Error(), 0)
			equal(e, "insert was made", r[3].Done, 1)
			equal(e, "insert", r[3].Ret, 0)
			equal(e, "something is left", r[4].Done, 0)
			equal(e, "entries", len(e.dump()), 1)
		}
	})
}

func TestFacts_ReversedIsDir1(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), do(ops.Insert, 0), e.reversed())
		equal(e, "dir", r[2].Dir(), 1)
		equal(e, "the same connection", r[2].Same, 0b11)
	})
}

func TestFacts_MarkStays(t *testing.T) {
	claim(t, func(e *env) {
		e.good(e.alloc(), do(ops.SetMark, 7), do(ops.Insert, 0), do(ops.SetMark, 0xdeadbeef))
		equal(e, "mark", e.more(e.lookup())[0].View.Mark, 0xdeadbeef)
		e.good(e.alloc(), do(ops.SetMark, 7), do(ops.Insert, 0))
		equal(e, "mark set before insert", e.more(e.lookup())[0].View.Mark, 7)
	})
}

func TestFacts_OneConnectionOnePointer(t *testing.T) {
	claim(t, func(e *env) {
		change := ops.Op{Code: ops.ChangeStatus, Slot: 1, Arg: uint32(conntrack.IPSAssured) | confirmed}
		r := e.good(e.alloc(), do(ops.Insert, 0), e.lookup(), e.reversed2(), change, do(ops.Read, 0),
			ops.Op{Code: ops.SetMark, Slot: 2, Arg: 5}, do(ops.Read, 0))
		equal(e, "same", r[3].Same, 0b111)
		equal(e, "status read through another", conntrack.Status(r[5].View.Status), conntrack.IPSAssured|conntrack.IPSConfirmed)
		equal(e, "mark read through another", r[7].View.Mark, 5)
	})
}

// zoneDirs are the directions of a zone that mean something, 0 standing for 3.
var zoneDirs = []uint8{0, 1, 2, 3}

// idFor is the id that counts in a direction.
func idFor(id uint16, dir uint8, d conntrack.Dir) uint16 {
	if dir == 0 {
		dir = 3
	}
	return conntrack.Zone{ID: id, Dir: conntrack.ZoneDir(dir)}.IDFor(d)
}

func TestFacts_ZonesApart(t *testing.T) {
	claim(t, func(e *env) {
		for _, madeDir := range zoneDirs {
			zone := func(id uint16, dir uint8) func(*ops.Options) {
				return func(o *ops.Options) { o.ZoneID, o.ZoneDir = id, dir }
			}
			e.good(with(e.alloc(), zone(7, madeDir)), do(ops.Insert, 0))
			for _, id := range []uint16{0, 7, 8} {
				for _, dir := range zoneDirs {
					for d, l := range []ops.Op{e.lookup(), e.reversed()} {
						// A lookup tries the zone's id of each direction.
						d := conntrack.Dir(d)
						has := idFor(7, madeDir, d)
						want := int32(0)
						if has == idFor(id, dir, 0) && has == idFor(id, dir, d) || has == idFor(id, dir, 1) && has == idFor(id, dir, d) {
							want = 1
						}
						if r := e.more(with(l, zone(id, dir))); r[0].Ret != want {
							e.Errorf("made in 7/%d, %v looked up in %d/%d: %d, want %d", madeDir, d, id, dir, r[0].Ret, want)
						}
					}
				}
			}
		}
	})
}

func TestFacts_ZonesInsert(t *testing.T) {
	claim(t, func(e *env) {
		for _, a := range zoneDirs {
			for _, b := range zoneDirs {
				for _, ids := range [][2]uint16{{7, 7}, {7, 8}, {0, 7}, {7, 0}} {
					second := with(e.alloc(), func(o *ops.Options) { o.ZoneID, o.ZoneDir = ids[1], b })
					second.Slot = 1
					r := e.run(with(e.alloc(), func(o *ops.Options) { o.ZoneID, o.ZoneDir = ids[0], a }),
						do(ops.Insert, 0), second, ops.Op{Code: ops.Insert, Slot: 1})
					want := int32(1)
					for d := range conntrack.Reply + 1 {
						if idFor(ids[0], a, d) == idFor(ids[1], b, d) {
							want = 0
						}
					}
					if r[3].Ret != want {
						e.Errorf("%d/%d, then %d/%d: %d, want %d", ids[0], a, ids[1], b, r[3].Ret, want)
					}
				}
			}
		}
	})
}
