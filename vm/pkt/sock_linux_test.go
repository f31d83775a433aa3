package pkt_test

import (
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/netns"
)

// kernelSocket makes the socket in the namespace of the calling thread.
func kernelSocket(w wanted) (fd int, err error) {
	local := netip.MustParseAddrPort(w.local)
	family := unix.AF_INET
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	typ := unix.SOCK_DGRAM
	if w.tcp {
		typ = unix.SOCK_STREAM
	}
	if fd, err = unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	if w.v6only {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fd, err
		}
	}
	if w.device != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, w.device); err != nil {
			return fd, err
		}
	}
	if err := unix.Bind(fd, sockaddr(local)); err != nil {
		return fd, err
	}
	if w.remote != "" {
		err = unix.Connect(fd, sockaddr(netip.MustParseAddrPort(w.remote)))
	} else if w.tcp {
		err = unix.Listen(fd, 5)
	}
	return fd, err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connection makes a TCP connection in the namespace of the calling thread and
// says what the two ends look like.
func connection() (close func(), ends []*netns.Socket, err error) {
	server, err := kernelSocket(wanted{tcp: true, local: "127.0.0.1:300"})
	if err != nil {
		return nil, nil, err
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Bind(client, sockaddr(netip.MustParseAddrPort("127.0.0.1:301"))); err != nil {
		return nil, nil, err
	}
	if err := unix.Connect(client, sockaddr(netip.MustParseAddrPort("127.0.0.1:300"))); err != nil {
		return nil, nil, err
	}
	accepted, _, err := unix.Accept(server)
	if err != nil {
		return nil, nil, err
	}
	a, b := netip.MustParseAddrPort("127.0.0.1:300"), netip.MustParseAddrPort("127.0.0.1:301")
	end := func(local, remote netip.AddrPort) *netns.Socket {
		return &netns.Socket{Family: netns.FamilyINET, Type: netns.SockStream, Protocol: netns.ProtoTCP, State: netns.StateEstablished,
			Local: local, Remote: remote, RxQueue: -1}
	}
	close = func() {
		for _, fd := range []int{client, accepted, server} {
			syscall.Close(fd)
		}
	}
	return close, []*netns.Socket{machineSocket(wanted{tcp: true, local: "127.0.0.1:300"}), end(a, b), end(b, a)}, nil
}

func TestSocketLookups(t *testing.T) {
	ns := netns.New("test", 1)
	other := netns.New("other", 2)
	ns.SetID(7, other)
	k := newKernel(t, sockObject, live.Options{Namespaces: []live.NamespaceOptions{{Name: "other", ID: 7}}})
	m := newMachine(t, sockObject, ns)
	add := func(kns *live.Netns, mns *netns.Netns, sockets []wanted) {
		for _, w := range sockets {
			err := kns.Do(func() error {
				fd, err := kernelSocket(w)
				if fd >= 0 {
					t.Cleanup(func() { unix.Close(fd) })
				}
				return err
			})
			if err != nil {
				t.Fatalf("%+v: %v", w, err)
			}
			mns.AddSocket(machineSocket(w))
		}
	}
	add(k.host.Netns, ns, wantedSockets)
	add(k.host.Namespace("other"), other, []wanted{{tcp: true, local: "0.0.0.0:999"}, {local: "[::]:999"}})
	err := k.host.Do(func() error {
		closeAll, ends, err := connection()
		if err == nil {
			t.Cleanup(closeAll)
			for _, s := range ends {
				ns.AddSocket(s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	for _, prog := range []string{"run_skb", "run_xdp"} {
		t.Run(prog, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				r := run{data: data, ops: rapid.SliceOfN(rapid.Custom(sockOp), 1, scriptLen).Draw(rt, "ops")}
				compare(rt, r, k.run(t, prog, r), m.run(t, prog, r))
			})
		})
	}
}
