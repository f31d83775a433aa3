package live

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSkBuffRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u32 := func(name string) uint32 { return rapid.Uint32().Draw(t, name) }
		in := SkBuff{
			Mark: u32("mark"), Priority: u32("priority"), IngressIfindex: u32("iif"), Ifindex: u32("if"),
			CB:     [5]uint32{u32("cb0"), u32("cb1"), u32("cb2"), u32("cb3"), u32("cb4")},
			Tstamp: rapid.Uint64().Draw(t, "tstamp"), HWTstamp: rapid.Uint64().Draw(t, "hwtstamp"),
			WireLen: u32("wire"), GSOSegs: u32("segs"), GSOSize: u32("gso"),
		}
		out, err := ParseSkBuff(in.Bytes())
		if err != nil || *out != in {
			t.Fatalf("%+v became %+v, %v", in, out, err)
		}
		x := XDPMD{Data: u32("data"), DataEnd: u32("end"), IngressIfindex: u32("xif"), RxQueueIndex: u32("queue")}
		y, err := ParseXDPMD(x.Bytes())
		if err != nil || *y != x {
			t.Fatalf("%+v became %+v, %v", x, y, err)
		}
	})
	if _, err := ParseSkBuff(make([]byte, SkBuffSize-1)); err == nil {
		t.Error("a short __sk_buff was read")
	}
	if _, err := ParseXDPMD(nil); err == nil {
		t.Error("a short xdp_md was read")
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":                "/proc/sys/net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.1/forwarding":    "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
		"kernel.hostname":                    "",
		"net":                                "",
		"":                                   "",
		"net/../kernel/hostname":             "",
		"/proc/sys/net/ipv4/ip_forward":      "",
		"net.ipv4.conf.all...kernel.unknown": "/proc/sys/net/ipv4/conf/all///kernel/unknown",
	} {
		got, err := sysctlPath(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestProcessed(t *testing.T) {
	for _, tt := range []struct {
		log  []string
		want int
	}{
		{nil, 0},
		{[]string{"0: (95) exit", "processed 12 insns (limit 1000000) max_states_per_insn 0"}, 12},
		{[]string{"processed 1 insns", "processed 2 insns", "stack depth 8"}, 2},
		{[]string{"processed many insns"}, 0},
		{[]string{"processed 99999999999999999999999 insns"}, 0},
	} {
		if got := processed(tt.log); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.log, got, tt.want)
		}
	}
}

func TestMissingError(t *testing.T) {
	var err error = &MissingError{Missing: []string{"a", "b"}}
	if !errors.Is(err, ErrNotSupported) || errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "a; b") {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "linux" {
		return
	}
	if err := Available(); !errors.Is(err, ErrNotSupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("Available: %v", err)
	}
	if h, err := NewHost(Options{}); h != nil || !errors.Is(err, ErrNotSupported) {
		t.Errorf("NewHost: %v, %v", h, err)
	}
	var none *Netns
	if _, err := none.LoadCollection(nil, nil); !errors.Is(err, ErrNotSupported) {
		t.Errorf("LoadCollection: %v", err)
	}
}
