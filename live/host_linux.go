package live

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host is a set of network namespaces in the kernel, one main one in which
// programs run unless said otherwise, and any others by name. Its methods
// may be called from several goroutines; each namespace does one thing at a
// time. A Host that is not closed keeps its threads until the process ends.
type Host struct {
	*Netns
	named map[string]*Netns // immutable

	// sink is where the other ends of devices that stand for dummies are, nil
	// if there are none, and sinks is how many. Set by NewHost only.
	sink  *Netns
	sinks int
}

// Netns is one network namespace of a Host.
type Netns struct {
	name   string
	thread *thread

	// scratch receives packets, types is the kernel's types read so far and
	// targets a list of them (nil before the first use); all are used on the
	// thread only.
	scratch []byte
	types   *btf.Cache
	targets []target

	mu sync.Mutex
	// collections are what to close with the namespace; guarded by mu.
	collections map[*Collection]struct{}
}

// NewHost makes the namespaces that opts describe. On any failure nothing is
// left. Without the rights to load programs the error is a *MissingError; a
// kernel without conntrack for programs (see Available) is no failure yet.
func NewHost(opts Options) (_ *Host, err error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if missing := missingRights(); len(missing) > 0 {
		return nil, &MissingError{Missing: missing}
	}
	h := &Host{named: make(map[string]*Netns)}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.Netns, err = newNetns(""); err != nil {
		return nil, err
	}
	for _, o := range opts.Namespaces {
		ns, err := newNetns(o.Name)
		if err != nil {
			return nil, fmt.Errorf("namespace %q: %w", o.Name, err)
		}
		h.named[o.Name] = ns
		err = h.thread.do(func() error { return netlink.SetNetNsIdByFd(ns.thread.nsFD, o.ID) })
		if err != nil {
			return nil, fmt.Errorf("namespace %q: give it id %d: %w", o.Name, o.ID, err)
		}
	}
	all := append([]NamespaceOptions{opts.NamespaceOptions}, opts.Namespaces...)
	for _, step := range []func(*Netns, NamespaceOptions) error{(*Netns).setSysctls, h.addDevices, (*Netns).addRoutes} {
		for _, o := range all {
			if err := step(h.Namespace(o.Name), o); err != nil {
				if o.Name != "" {
					err = fmt.Errorf("namespace %q: %w", o.Name, err)
				}
				return nil, err
			}
		}
	}
	return h, nil
}

func newNetns(name string) (*Netns, error) {
	t, err := newThread()
	if err != nil {
		return nil, err
	}
	ns := &Netns{name: name, thread: t, types: btf.NewCache()}
	err = t.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.stop()
		return nil, fmt.Errorf("bring up lo: %w", err)
	}
	return ns, nil
}

// Namespace finds a namespace by name, "" being the main one; nil if there is none.
func (h *Host) Namespace(name string) *Netns {
	if name == "" {
		return h.Netns
	}
	return h.named[name]
}

// Close closes what was loaded and ends the namespaces. It may be called twice.
func (h *Host) Close() error {
	var errs []error
	for _, ns := range h.named {
		errs = append(errs, ns.close())
	}
	if h.sink != nil {
		errs = append(errs, h.sink.close())
	}
	if h.Netns != nil {
		errs = append(errs, h.Netns.close())
	}
	return errors.Join(errs...)
}

func (ns *Netns) close() error {
	ns.mu.Lock()
	collections := ns.collections
	ns.collections = nil
	ns.mu.Unlock()
	var errs []error
	for c := range collections {
		errs = append(errs, c.close())
	}
	ns.thread.stop()
	return errors.Join(errs...)
}

// own makes c be closed with the namespace, unless it is closed before.
func (ns *Netns) own(c *Collection) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.collections == nil {
		ns.collections = make(map[*Collection]struct{})
	}
	ns.collections[c] = struct{}{}
	c.forget = func() {
		ns.mu.Lock()
		defer ns.mu.Unlock()
		delete(ns.collections, c)
	}
}

// Name is the namespace's name, "" for the main one.
func (ns *Netns) Name() string { return ns.name }

// Inode is the number by which /proc names the namespace.
func (ns *Netns) Inode() (uint64, error) {
	var st unix.Stat_t
	err := ns.thread.do(func() error { return unix.Fstat(ns.thread.nsFD, &st) })
	return st.Ino, err
}

// NewMap creates a map from within the namespace, filled as spec says and
// pinned nowhere. The caller closes it.
func (ns *Netns) NewMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	spec = spec.Copy()
	spec.Pinning = ebpf.PinNone
	var m *ebpf.Map
	err := ns.thread.do(func() (err error) {
		m, err = ebpf.NewMap(spec)
		return err
	})
	return m, err
}

// Do runs f on the namespace's thread: what f opens or asks the kernel by
// itself is of this namespace, and so is a process that it starts. f may call
// methods of the Netns. Goroutines that f starts are not in the namespace.
func (ns *Netns) Do(f func() error) error { return ns.thread.do(f) }

func (ns *Netns) setSysctls(o NamespaceOptions) error {
	names := make([]string, 0, len(o.Sysctls))
	for name := range o.Sysctls {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := ns.SetSysctl(name, o.Sysctls[name]); err != nil {
			return err
		}
	}
	return nil
}

// SetSysctl writes a sysctl of the namespace, "net.ipv4.ip_forward".
func (ns *Netns) SetSysctl(name, value string) error {
	path, err := sysctlPath(name)
	if err != nil {
		return err
	}
	return ns.thread.do(func() error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
		defer f.Close()
		if _, err := f.WriteString(value); err != nil {
			return fmt.Errorf("sysctl %s: write %q: %w", name, value, err)
		}
		return nil
	})
}

// Sysctl reads a sysctl of the namespace.
func (ns *Netns) Sysctl(name string) (string, error) {
	path, err := sysctlPath(name)
	if err != nil {
		return "", err
	}
	var data []byte
	err = ns.thread.do(func() (err error) {
		data, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sysctl %s: %w", name, err)
	}
	return strings.TrimSpace(string(data)), nil
}
