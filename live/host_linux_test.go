package live_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/live"
)

// childEnv makes the test binary be a process that holds a host until it is killed.
const childEnv = "BPFCT_LIVE_TEST_CHILD"

func childMain() {
	h, err := live.NewHost(live.Options{})
	if err == nil {
		err = h.Do(func() error {
			_, err := fmt.Printf("/proc/%d/task/%d/ns/net\n", os.Getpid(), unix.Gettid())
			return err
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed
}

// namespaces has the network namespace of every thread of this process.
func namespaces(t *testing.T) map[string]bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, l := range links {
		ns, err := os.Readlink(l)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[ns] = true
	}
	return seen
}

// outside lists what of a host's could show in the namespace that the tests run in.
func outside(t *testing.T) []string {
	t.Helper()
	var out []string
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		if s := fmt.Sprint(f.Forward); strings.Contains(s, "192.0.2.1") {
			out = append(out, s)
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		out = append(out, l.Attrs().Name)
	}
	timeout, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, string(timeout))
}

func TestHostsShareNothing(t *testing.T) {
	require(t)
	before := outside(t)
	a := newHost(t, live.Options{NamespaceOptions: live.NamespaceOptions{
		Sysctls: map[string]string{"net.netfilter.nf_conntrack_udp_timeout": "7"},
		Devices: []live.Device{{Name: "d0"}},
	}})
	b := newHost(t, live.Options{})
	ia, errA := a.Inode()
	ib, errB := b.Inode()
	if errA != nil || errB != nil || ia == ib {
		t.Fatalf("inodes %d (%v) and %d (%v)", ia, errA, ib, errB)
	}
	if seen := namespaces(t); !seen[fmt.Sprintf("net:[%d]", ia)] || !seen[fmt.Sprintf("net:[%d]", ib)] {
		t.Fatalf("threads are in %v; want also %d and %d", seen, ia, ib)
	}

	entry := udpEntry("192.0.2.1", "192.0.2.2", 1, 2)
	if err := a.CreateEntry(&entry); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host    *live.Host
		entries int
		timeout string
		device  bool
	}{{a, 1, "7", true}, {b, 0, "30", false}} {
		entries, err := tt.host.Entries()
		if err != nil || len(entries) != tt.entries {
			t.Errorf("%d entries, %v; want %d", len(entries), err, tt.entries)
		}
		got, err := tt.host.Sysctl("net.netfilter.nf_conntrack_udp_timeout")
		if err != nil || got != tt.timeout {
			t.Errorf("sysctl %q, %v; want %s", got, err, tt.timeout)
		}
		if _, err := tt.host.DeviceIndex("d0"); (err == nil) != tt.device {
			t.Errorf("device d0: %v", err)
		}
	}

	if d := cmp.Diff(before, outside(t)); d != "" {
		t.Errorf("the namespace outside changed:\n%s", d)
	}
}

// watch gives the namespace of a thread an id in h, and returns a function
// that waits until the kernel says that the namespace is gone.
func watch(t *testing.T, h *live.Host, path string, id int) func() error {
	t.Helper()
	var conn *mdnetlink.Conn
	err := h.Do(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := netlink.SetNetNsIdByFd(fd, id); err != nil {
			return err
		}
		if conn, err = mdnetlink.Dial(unix.NETLINK_ROUTE, nil); err != nil {
			return err
		}
		return conn.JoinGroup(unix.RTNLGRP_NSID)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func() error {
		// Only so that a namespace that stays fails the test and does not hang it.
		if err := conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
			return err
		}
		for {
			msgs, err := conn.Receive()
			if err != nil {
				return err
			}
			for _, m := range msgs {
				if m.Header.Type == unix.RTM_DELNSID && len(m.Data) >= 12 && binary.NativeEndian.Uint32(m.Data[8:]) == uint32(id) {
					return nil
				}
			}
		}
	}
}

// threadNetns names the namespace of ns as other threads of this process see it.
func threadNetns(t *testing.T, ns *live.Netns) string {
	t.Helper()
	path := ""
	err := ns.Do(func() error {
		path = "/proc/self/task/" + strconv.Itoa(unix.Gettid()) + "/ns/net"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCloseLeavesNothing(t *testing.T) {
	watcher := newHost(t, live.Options{})
	h := newHost(t, live.Options{Namespaces: []live.NamespaceOptions{{Name: "other", ID: 3}}})
	gone := []func() error{
		watch(t, watcher, threadNetns(t, h.Netns), 4001),
		watch(t, watcher, threadNetns(t, h.Namespace("other")), 4002),
	}
	if _, err := h.LoadCollection(loadSpec(t, "testdata/ct.o"), &live.CollectionOptions{KeepGoing: true}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for i, wait := range gone {
		if err := wait(); err != nil {
			t.Fatalf("namespace %d is still there: %v", i, err)
		}
	}
	if err := h.Do(func() error { return nil }); !errors.Is(err, live.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	if _, err := h.Entries(); !errors.Is(err, live.ErrClosed) {
		t.Errorf("Entries after Close: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestKillLeavesNothing(t *testing.T) {
	watcher := newHost(t, live.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	path, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	path = strings.TrimSpace(path)
	if pid := strconv.Itoa(cmd.Process.Pid); strings.Contains(path, "/"+pid+"/task/"+pid+"/") {
		t.Errorf("the namespace is on the process's first thread: %s", path)
	}
	gone := watch(t, watcher, path, 4003)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := gone(); err != nil {
		t.Fatalf("the namespace of the killed process is still there: %v", err)
	}
}

func TestNamespacesDevicesRoutes(t *testing.T) {
	h := newHost(t, live.Options{
		NamespaceOptions: live.NamespaceOptions{
			Devices: []live.Device{
				{Name: "d0", Index: 77, MAC: "02:00:00:00:00:07", MTU: 1400, Addrs: []netip.Prefix{netip.MustParsePrefix("10.7.0.1/24"), netip.MustParsePrefix("fd00::1/64")}},
				{Name: "v0", Kind: live.Veth, Addrs: []netip.Prefix{netip.MustParsePrefix("10.8.0.1/24")},
					Peer: &live.Device{Name: "v1", MAC: "02:00:00:00:00:08", Addrs: []netip.Prefix{netip.MustParsePrefix("10.8.0.2/24")}}, PeerNamespace: "right"},
			},
			Routes:     []live.Route{{Dst: netip.MustParsePrefix("203.0.113.0/24"), Via: netip.MustParseAddr("10.8.0.2"), Device: "v0"}},
			Neighbours: []live.Neighbour{{Addr: netip.MustParseAddr("10.8.0.2"), MAC: "02:00:00:00:00:08", Device: "v0"}},
		},
		Namespaces: []live.NamespaceOptions{{Name: "right", ID: 5}, {Name: "left", ID: 0}},
	})
	if i, err := h.DeviceIndex("d0"); err != nil || i != 77 {
		t.Errorf("d0 has index %d, %v", i, err)
	}
	if _, err := h.Namespace("right").DeviceIndex("v1"); err != nil {
		t.Error(err)
	}
	if _, err := h.DeviceIndex("v1"); err == nil {
		t.Error("the peer v1 is in the main namespace")
	}
	if h.Namespace("none") != nil {
		t.Error("there is a namespace none")
	}
	v0, err := h.DeviceIndex("v0")
	if err != nil {
		t.Fatal(err)
	}
	err = h.Do(func() error {
		routes, err := netlink.RouteGet([]byte{203, 0, 113, 9})
		if err != nil {
			return err
		}
		if len(routes) != 1 || routes[0].LinkIndex != v0 || routes[0].Gw.String() != "10.8.0.2" {
			return fmt.Errorf("route %v, want by 10.8.0.2 over %d", routes, v0)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNewHostRefuses(t *testing.T) {
	require(t)
	ns := func(o live.NamespaceOptions) live.Options { return live.Options{NamespaceOptions: o} }
	for name, tt := range map[string]struct {
		opts live.Options
		want string
	}{
		"sysctl of the machine":    {ns(live.NamespaceOptions{Sysctls: map[string]string{"kernel.hostname": "x"}}), "only names below net"},
		"sysctl upwards":           {ns(live.NamespaceOptions{Sysctls: map[string]string{"net/../kernel/hostname": "x"}}), "only names below net"},
		"unknown sysctl":           {ns(live.NamespaceOptions{Sysctls: map[string]string{"net.none": "1"}}), "sysctl net.none"},
		"sysctl value":             {ns(live.NamespaceOptions{Sysctls: map[string]string{"net.ipv4.ip_forward": "x"}}), `write "x"`},
		"same name":                {live.Options{Namespaces: []live.NamespaceOptions{{Name: "a"}, {Name: "a", ID: 1}}}, "the name is taken"},
		"same id":                  {live.Options{Namespaces: []live.NamespaceOptions{{Name: "a"}, {Name: "b"}}}, "id 0 is that of"},
		"negative id":              {live.Options{Namespaces: []live.NamespaceOptions{{Name: "a", ID: -1}}}, "negative"},
		"name for the main":        {ns(live.NamespaceOptions{Name: "x"}), "has no name"},
		"unknown kind":             {ns(live.NamespaceOptions{Devices: []live.Device{{Name: "x", Kind: "y"}}}), "unknown kind"},
		"no peer":                  {ns(live.NamespaceOptions{Devices: []live.Device{{Name: "x", Kind: live.Veth}}}), "needs a peer"},
		"peer in no namespace":     {ns(live.NamespaceOptions{Devices: []live.Device{{Name: "x", Kind: live.Veth, Peer: &live.Device{Name: "y"}, PeerNamespace: "z"}}}), "does not exist"},
		"mac":                      {ns(live.NamespaceOptions{Devices: []live.Device{{Name: "x", MAC: "y"}}}), "device x"},
		"route over no device":     {ns(live.NamespaceOptions{Routes: []live.Route{{Dst: netip.MustParsePrefix("10.0.0.0/8"), Device: "x"}}}), `device "x"`},
		"neighbour over no device": {ns(live.NamespaceOptions{Neighbours: []live.Neighbour{{Addr: netip.MustParseAddr("10.0.0.1"), Device: "x"}}}), `device "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := live.NewHost(tt.opts)
			if err == nil {
				h.Close()
				t.Fatal("a host was made")
			}
			if h != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("host %v, error %v; want %q", h, err, tt.want)
			}
		})
	}
}

func TestAvailable(t *testing.T) {
	err := live.Available()
	if err == nil {
		if why := testkernel.Missing(); why != "" {
			t.Errorf("nothing is missing, but %s", why)
		}
		return
	}
	if !errors.Is(err, live.ErrNotSupported) {
		t.Errorf("Available: %v", err)
	}
	if _, err := live.NewHost(live.Options{}); !errors.Is(err, live.ErrNotSupported) {
		t.Errorf("NewHost: %v", err)
	}
}

func TestDoWithinDo(t *testing.T) {
	h := newHost(t, live.Options{Namespaces: []live.NamespaceOptions{{Name: "other"}}})
	err := h.Do(func() error {
		outer, err := h.Inode()
		if err != nil {
			return err
		}
		inner, err := h.Namespace("other").Inode()
		if err != nil {
			return err
		}
		if outer == inner {
			return fmt.Errorf("both namespaces are %d", outer)
		}
		_, err = h.Entries()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestParallelUse(t *testing.T) {
	h := newHost(t, live.Options{})
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			e := udpEntry("192.0.2.1", "192.0.2.2", uint16(i+1), 53)
			if err := h.CreateEntry(&e); err != nil {
				return err
			}
			_, err := h.Entries()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if entries, err := h.Entries(); err != nil || len(entries) != 8 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
}
