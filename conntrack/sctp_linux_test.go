package conntrack_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	ti "github.com/ti-mo/conntrack"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
	"github.com/bpfct/bpfct/packet"
)

// A chunk is one of a packet; tag is what an INIT or INIT ACK proposes.
type chunk struct {
	typ, flags byte
	tag        uint32
	cut        int // bytes missing
}

// sctp makes an SCTP packet.
func sctp(from wire.Side, port uint16, vtag uint32, chunks ...chunk) []byte {
	b := make([]byte, 32)
	b[0], b[8], b[9] = 0x45, 64, 132
	copy(b[12:], []byte{10, 1, 0, 5, 10, 2, 0, 5})
	binary.BigEndian.PutUint16(b[20:], port)
	binary.BigEndian.PutUint16(b[22:], 80)
	if from == wire.Server {
		copy(b[12:], []byte{10, 2, 0, 5, 10, 1, 0, 5})
		binary.BigEndian.PutUint16(b[20:], 80)
		binary.BigEndian.PutUint16(b[22:], port)
	}
	binary.BigEndian.PutUint32(b[24:], vtag)
	for _, c := range chunks {
		n := 4
		if c.typ == 1 || c.typ == 2 {
			n = 20
		}
		body := make([]byte, 20)
		body[0], body[1], body[3] = c.typ, c.flags, byte(n)
		binary.BigEndian.PutUint32(body[4:], c.tag)
		b = append(b, body[:n-c.cut]...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint32(b[28:], packet.ChecksumSCTP(b[20:]))
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:20]))
	return b
}

var chunkKinds = []byte{1, 2, 6, 7, 8, 9, 10, 11, 14, 4, 5, 0, 3, 13, 192}

// TestKernelSCTPTable sets an association to every state and sends every
// chunk in each direction, and as a first packet.
func TestKernelSCTPTable(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.sysctl("nf_conntrack_acct", 0)
	port := uint16(1000)
	for state := conntrack.SCTPNone; state <= conntrack.SCTPHeartbeatSent; state++ {
		for dir := range wire.Side(2) {
			for _, typ := range chunkKinds {
				for _, vtag := range []uint32{7, 0, 9} {
					port++
					f := ti.NewFlow(132, ti.StatusConfirmed|ti.StatusSeenReply, wire.Client.Addr4(5), wire.Server.Addr4(5), port, 80, 5000, 0)
					f.ProtoInfo.SCTP = &ti.ProtoInfoSCTP{State: uint8(state), VTagOriginal: 7, VTagReply: 7}
					if err := b.k.CT.Create(f); err != nil {
						t.Fatal(err)
					}
					c, err := b.t.Alloc(conntrack.TupleFrom(132, addrPort(wire.Client.Addr4(5), port), addrPort(wire.Server.Addr4(5), 80)), conntrack.DefaultZone)
					if err != nil {
						t.Fatal(err)
					}
					c.SetTimeout(5000000)
					c.ChangeStatus(conntrack.IPSSeenReply)
					c.SetSCTPInfo(conntrack.SCTPInfo{State: state, VTag: [2]uint32{7, 7}})
					if err := b.t.Insert(c); err != nil {
						t.Fatal(err)
					}
					c.Release()
					if err := b.send(dir, sctp(dir, port, vtag, chunk{typ: typ, tag: 7})); err != nil {
						t.Errorf("state %v, chunk %d, tag %d: %v", state, typ, vtag, err)
					}
				}
			}
		}
	}
	for _, typ := range chunkKinds {
		for _, vtag := range []uint32{7, 0} {
			port++
			for range 2 {
				if err := b.send(wire.Client, sctp(wire.Client, port, vtag, chunk{typ: typ, tag: 7})); err != nil {
					t.Errorf("chunk %d, tag %d: %v", typ, vtag, err)
				}
			}
		}
	}
}

// TestKernelSCTPConversations is TestKernelTCPConversations for SCTP.
func TestKernelSCTPConversations(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	n, packets := 0, 0
	generate(t, 300, func(rt *rapid.T) {
		n++
		port := uint16(1024 + n%60000)
		if n%60000 == 0 {
			b.k.Flush()
			b.t.Flush()
		}
		tags := []uint32{7, 9} // of packets from each side
		var story []string
		usual := []struct {
			from wire.Side
			typ  byte
		}{{0, 1}, {1, 2}, {0, 10}, {1, 11}}
		for k := range rapid.IntRange(1, 14).Draw(rt, "packets") {
			from := wire.Side(rapid.IntRange(0, 1).Draw(rt, "side"))
			kinds := []byte(chunkKinds)
			if k < 4 && rapid.IntRange(0, 4).Draw(rt, "usual") > 0 {
				from, kinds = usual[k].from, []byte{usual[k].typ}
			}
			var cs []chunk
			for range rapid.SampledFrom([]int{1, 1, 1, 1, 1, 2, 3, 0}).Draw(rt, "chunks") {
				c := chunk{typ: rapid.SampledFrom(kinds).Draw(rt, "type")}
				c.flags = byte(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(rt, "T"))
				c.tag = tags[1-from]
				if rapid.IntRange(0, 6).Draw(rt, "newTag") == 0 {
					c.tag = rapid.SampledFrom([]uint32{0, 7, 9, 11}).Draw(rt, "tag")
				}
				cs = append(cs, c)
			}
			if len(cs) > 0 && rapid.IntRange(0, 19).Draw(rt, "cut") == 0 {
				cs[len(cs)-1].cut = rapid.IntRange(0, 4).Draw(rt, "by")
			}
			vtag := tags[from]
			if len(cs) > 0 && cs[0].typ == 1 {
				vtag = 0
			}
			if rapid.IntRange(0, 6).Draw(rt, "otherTag") == 0 {
				vtag = rapid.SampledFrom([]uint32{0, 7, 9, 11}).Draw(rt, "vtag")
			}
			story = append(story, fmt.Sprintf("from %d tag %d: %+v", from, vtag, cs))
			packets++
			if err := b.send(from, sctp(from, port, vtag, cs...)); err != nil {
				rt.Fatalf("%s\n%v", strings.Join(story, "\n"), err)
			}
		}
	})
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
	t.Logf("%d associations, %d packets", n, packets)
}
