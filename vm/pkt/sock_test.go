package pkt_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/netns"
)

const sockObject = "testdata/sock.o"

// wanted is a socket that both sides have.
type wanted struct {
	tcp    bool
	local  string
	remote string // of a connected one
	v6only bool
	device int
}

var wantedSockets = []wanted{
	{tcp: true, local: "127.0.0.1:100"},
	{tcp: true, local: "0.0.0.0:101"},
	{tcp: true, local: "[::]:102"},
	{tcp: true, local: "[::]:103", v6only: true},
	{tcp: true, local: "[::1]:104"},
	{tcp: true, local: "0.0.0.0:105", device: 1},
	{local: "127.0.0.1:200"},
	{local: "0.0.0.0:201"},
	{local: "[::]:202"},
	{local: "[::]:203", v6only: true},
	{local: "127.0.0.1:204", remote: "127.0.0.1:200"},
	{local: "[::1]:205", remote: "[::1]:202"},
	{local: "0.0.0.0:206", device: 1},
}

// machineSocket is the socket as a namespace of the machine has it.
func machineSocket(w wanted) *netns.Socket {
	s := &netns.Socket{Type: netns.SockDgram, Protocol: netns.ProtoUDP, State: netns.StateClose, RxQueue: -1, V6Only: w.v6only,
		BoundDevice: w.device, Local: netip.MustParseAddrPort(w.local)}
	if w.tcp {
		s.Type, s.Protocol, s.State = netns.SockStream, netns.ProtoTCP, netns.StateListen
	}
	s.Family = netns.FamilyINET
	if s.Local.Addr().Is6() {
		s.Family = netns.FamilyINET6
	}
	if w.remote != "" {
		s.Remote, s.State = netip.MustParseAddrPort(w.remote), netns.StateEstablished
	}
	return s
}

func sockOp(t *rapid.T) op {
	o := op{code: uint32(rapid.IntRange(1, 3).Draw(t, "op")), data: make([]byte, dataLen)}
	v4 := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "10.0.0.1"}
	v6 := []string{"::1", "::", "fd00::1", "::ffff:127.0.0.1"}
	from, n := v4, 4
	if rapid.Bool().Draw(t, "ipv6") {
		from, n = v6, 16
	}
	for i := range 2 {
		copy(o.data[i*n:], netip.MustParseAddr(rapid.SampledFrom(from).Draw(t, "addr")).AsSlice())
	}
	ports := []int{100, 101, 102, 103, 104, 105, 200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 999}
	binary.BigEndian.PutUint16(o.data[2*n:], uint16(rapid.SampledFrom(ports).Draw(t, "sport")))
	binary.BigEndian.PutUint16(o.data[2*n+2:], uint16(rapid.SampledFrom(ports).Draw(t, "dport")))
	o.n = uint32(2*n + 4)
	if rapid.IntRange(0, 9).Draw(t, "odd size") == 0 {
		o.n = uint32(rapid.SampledFrom([]int{0, 11, 12, 13, 35, 36}).Draw(t, "size"))
	}
	o.a = anyOf(t, "netns", 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffff, 0xfffffffe, 0, 1, 7, 0x7fffffff, 1<<32, 1<<32|0xffffffff)
	o.b = anyOf(t, "flags", 0, 0, 0, 0, 0, 1)
	o.c = anyOf(t, "assign flags", 0, 0, 1)
	return o
}

func TestCookies(t *testing.T) {
	m := newMachine(t, sockObject, netns.New("test", 1))
	data := make([]byte, 64)
	copy(data[12:], []byte{8, 0, 0x45, 0})
	data[34+12] = 5 << 4
	data[34+13] = 2
	o := m.run(t, "cookies", run{data: data})
	if o.ret != 0 {
		t.Fatalf("the program returns %d", o.ret)
	}
	cookie := binary.LittleEndian.Uint64(m.vars["cookie"])
	if mss := cookie >> 32; mss != 536 {
		t.Errorf("MSS %d in the cookie %#x, want 536", mss, cookie)
	}
	if check := int32(binary.LittleEndian.Uint32(m.vars["cookie_check"])); check != 0 {
		t.Errorf("check of an answer to the cookie returns %d", check)
	}
	if check := int32(binary.LittleEndian.Uint32(m.vars["wrong_check"])); check != -13 {
		t.Errorf("check of an answer from another port returns %d, want -EACCES", check)
	}
}

func TestOwnSocket(t *testing.T) {
	k, m := newKernel(t, sockObject, live.Options{}), newMachine(t, sockObject, netns.New("test", 1))
	rapid.Check(t, func(rt *rapid.T) {
		r := run{data: frame(rt)}
		compare(rt, r, k.run(t, "own_socket", r), m.run(t, "own_socket", r))
	})
}
