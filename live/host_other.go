//go:build !linux

package live

import (
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Available says what keeps this process from running programs on the
// kernel. The error is a *MissingError.
func Available() error {
	return &MissingError{Missing: []string{"this is " + runtime.GOOS + ", not Linux"}}
}

// Host is a set of network namespaces in the kernel. There are none on this system.
type Host struct{ *Netns }

// Netns is one network namespace of a Host.
type Netns struct{}

// NewHost returns an error that says that this system is not Linux.
func NewHost(Options) (*Host, error) { return nil, Available() }

// Close does nothing.
func (h *Host) Close() error { return nil }

// Namespace returns nil.
func (h *Host) Namespace(string) *Netns { return nil }

// Name returns "".
func (ns *Netns) Name() string { return "" }

// Inode is not supported.
func (ns *Netns) Inode() (uint64, error) { return 0, Available() }

// Do is not supported.
func (ns *Netns) Do(func() error) error { return Available() }

// NewMap is not supported.
func (ns *Netns) NewMap(*ebpf.MapSpec) (*ebpf.Map, error) { return nil, Available() }

// SetSysctl is not supported.
func (ns *Netns) SetSysctl(string, string) error { return Available() }

// Sysctl is not supported.
func (ns *Netns) Sysctl(string) (string, error) { return "", Available() }

// DeviceIndex is not supported.
func (ns *Netns) DeviceIndex(string) (int, error) { return 0, Available() }

// Entries is not supported.
func (ns *Netns) Entries() ([]Entry, error) { return nil, Available() }

// FlushEntries is not supported.
func (ns *Netns) FlushEntries() error { return Available() }

// CreateEntry is not supported.
func (ns *Netns) CreateEntry(*Entry) error { return Available() }

// DeleteEntry is not supported.
func (ns *Netns) DeleteEntry(*Entry) error { return Available() }

// Stats is not supported.
func (ns *Netns) Stats() (Stats, error) { return Stats{}, Available() }

// LoadCollection is not supported.
func (ns *Netns) LoadCollection(*ebpf.CollectionSpec, *CollectionOptions) (*Collection, error) {
	return nil, Available()
}

// LoadInsns is not supported.
func (ns *Netns) LoadInsns(ebpf.ProgramType, asm.Instructions, map[string]*ebpf.Map) (*ebpf.Program, error) {
	return nil, Available()
}

// Run is not supported.
func (ns *Netns) Run(*ebpf.Program, RunOptions) (*Result, error) { return nil, Available() }

// RunInsns is not supported.
func (ns *Netns) RunInsns(ebpf.ProgramType, asm.Instructions, RunOptions) (*Result, error) {
	return nil, Available()
}
