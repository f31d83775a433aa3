package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	ct "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/testkernel"
)

// Side is one of the two devices.
type Side int

// The sides. Net4 and Net6 say which addresses are behind which.
const (
	Client Side = 0
	Server Side = 1
)

// Addr4 and Addr6 are the n-th host behind a side.
func (s Side) Addr4(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 1 + byte(s), 0, n}) }

// Addr6 is like Addr4.
func (s Side) Addr6(n byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfd, 0, 1 + byte(s), 15: n})
}

// Kernel is such a namespace. It ends with the test.
type Kernel struct {
	tb  testing.TB
	do  chan func()
	tun [2]int
	CT  *ct.Conn // asks its tables
	buf [1 << 16]byte
}

// rules write into the TTL: the class of ct state times ten, and one more for
// the reply direction.
const rules = `
table inet wire {
	chain extra { %s }
	chain pre { type filter hook prerouting priority mangle; %s }
	chain forward { type filter hook forward priority mangle; %s }
	chain post { type filter hook postrouting priority 300;
		ct state invalid ip ttl set 110
		ct state invalid ip6 hoplimit set 110
		ct state established ct direction original ip ttl set 120
		ct state established ct direction original ip6 hoplimit set 120
		ct state established ct direction reply ip ttl set 121
		ct state established ct direction reply ip6 hoplimit set 121
		ct state related ct direction original ip ttl set 130
		ct state related ct direction original ip6 hoplimit set 130
		ct state related ct direction reply ip ttl set 131
		ct state related ct direction reply ip6 hoplimit set 131
		ct state new ip ttl set 140
		ct state new ip6 hoplimit set 140
		ct state untracked ip ttl set 150
		ct state untracked ip6 hoplimit set 150
	}
}
`

// Rules are additions to the rule set: statements of chains and whole tables.
type Rules struct {
	Pre, Forward string // statements behind tracking in prerouting, in forward
	Tables       string // whole tables
}

// Open makes a namespace, or skips tb where that cannot be.
func Open(tb testing.TB, r Rules) *Kernel {
	tb.Helper()
	testkernel.Require(tb)
	k := &Kernel{tb: tb, do: make(chan func())}
	ready := make(chan error)
	go func() {
		// The thread ends with the goroutine, and the namespace with it.
		runtime.LockOSThread()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range k.do {
			f()
		}
	}()
	err := <-ready
	tb.Cleanup(func() { close(k.do) })
	if err != nil {
		testkernel.Skip(tb, "no network namespace: "+err.Error())
	}
	k.In(func() { err = k.setup() })
	if err != nil {
		testkernel.Skip(tb, err.Error())
	}
	k.In(func() { err = k.load(r) })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		k.CT.Close()
		unix.Close(k.tun[0])
		unix.Close(k.tun[1])
	})
	return k
}

// In runs f on a thread that is in the namespace.
func (k *Kernel) In(f func()) {
	done := make(chan struct{})
	k.do <- func() { defer close(done); f() }
	<-done
}

// setup makes devices, addresses and routes.
func (k *Kernel) setup() error {
	for i := range k.tun {
		fd, err := openTUN(fmt.Sprintf("side%d", i))
		if err != nil {
			return fmt.Errorf("TUN device: %w", err)
		}
		k.tun[i] = fd
	}
	for _, s := range []string{"ipv4/ip_forward=1", "ipv4/conf/all/rp_filter=0", "ipv4/conf/default/rp_filter=0", "ipv6/conf/all/forwarding=1"} {
		name, v, _ := strings.Cut(s, "=")
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(v), 0); err != nil {
			return err
		}
	}
	for i := range Side(2) {
		dev := fmt.Sprintf("side%d", i)
		for _, c := range []string{
			"link set " + dev + " addrgenmode none txqueuelen 4000", "link set " + dev + " up",
			fmt.Sprintf("addr add 10.%d.0.1/16 dev %s", i+1, dev), fmt.Sprintf("addr add fd00:0%x00::1/24 nodad dev %s", i+1, dev),
		} {
			if out, err := run("ip", strings.Fields(c)...); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+dev+"/rp_filter", []byte("0"), 0); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath(tool("nft")); err != nil {
		return err
	}
	var err error
	k.CT, err = ct.Dial(&netlink.Config{})
	return err
}

// load turns tracking on.
func (k *Kernel) load(r Rules) error {
	cmd := exec.Command(tool("nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(rules, "", r.Pre, r.Forward) + r.Tables)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// tool finds a program that may stand in sbin.
func tool(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	return filepath.Join("/usr/sbin", name)
}

func run(name string, args ...string) ([]byte, error) {
	return exec.Command(tool(name), args...).CombinedOutput()
}

func openTUN(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return fd, unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
}

// Classes of ct state, as in [Result].
const (
	Dropped     = 0
	Invalid     = 110
	Established = 120
	Related     = 130
	New         = 140
	Untracked   = 150
)

// Result is what became of a packet.
type Result struct {
	Class int    // one of the classes
	Reply bool   // in the reply direction
	Out   []byte // the packet as it came out; nil where it did not. Good until the next Send
}

// Send sends an IP packet from a side.
func (k *Kernel) Send(from Side, pkt []byte) Result {
	k.tb.Helper()
	k.drain()
	if _, err := unix.Write(k.tun[from], pkt); err != nil {
		k.tb.Fatalf("send %x: %v", pkt, err)
	}
	out := k.Receive(1 - from)
	if out == nil {
		// Back where it came from, unless that is the host's own answer.
		if out = k.Receive(from); out == nil || !sameSource(out, pkt) {
			return Result{}
		}
	}
	ttl := int(out[8])
	if out[0]>>4 == 6 {
		ttl = int(out[7])
	}
	return Result{Class: ttl / 10 * 10, Reply: ttl%10 == 1, Out: out}
}

// sameSource says whether two packets are of one host.
func sameSource(a, b []byte) bool {
	if a[0]>>4 != b[0]>>4 {
		return false
	}
	if a[0]>>4 == 6 {
		return string(a[8:24]) == string(b[8:24])
	}
	return string(a[12:16]) == string(b[12:16])
}

// Receive gives what else came out of a side, nil for nothing.
func (k *Kernel) Receive(s Side) []byte {
	for {
		n, err := unix.Read(k.tun[s], k.buf[:])
		if err != nil {
			return nil
		}
		if out := k.buf[:n]; out[0]>>4 != 6 || out[24] != 0xff {
			return out
		} // else the host itself speaks to its neighbours
	}
}

func (k *Kernel) drain() {
	var b [64]byte
	for i := range k.tun {
		for {
			if _, err := unix.Read(k.tun[i], b[:]); err != nil {
				break
			}
		}
	}
}

// Sysctl writes net.netfilter.NAME.
func (k *Kernel) Sysctl(name string, v int) {
	k.tb.Helper()
	var err error
	k.In(func() { err = os.WriteFile("/proc/sys/net/netfilter/"+name, []byte(strconv.Itoa(v)), 0) })
	if err != nil {
		k.tb.Fatal(err)
	}
}

// Entry asks for the connection with the tuple orig, in either direction. A
// tuple that netlink does not take has none.
func (k *Kernel) Entry(orig ct.Tuple, zone uint16) (ct.Flow, bool) {
	k.tb.Helper()
	f, err := k.CT.Get(ct.Flow{TupleOrig: orig, Zone: zone})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return ct.Flow{}, false
	}
	if err != nil {
		k.tb.Fatalf("entry of %v: %v", orig, err)
	}
	return f, true
}

// Flush empties the table.
func (k *Kernel) Flush() {
	k.tb.Helper()
	if err := k.CT.Flush(); err != nil {
		k.tb.Fatal(err)
	}
}
