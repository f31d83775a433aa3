package live

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Available says what keeps this process from running programs on the
// kernel, nil for nothing. The error is a *MissingError.
func Available() error {
	missing := append(missingRights(), missingTypes()...)
	if len(missing) == 0 {
		return nil
	}
	return &MissingError{Missing: missing}
}

// missingRights tries what is quick to try.
func missingRights() []string {
	var missing []string
	caps, err := missingCapabilities()
	if err != nil {
		missing = append(missing, "capabilities cannot be read: "+err.Error())
	}
	if len(caps) > 0 {
		who := "not root"
		if os.Geteuid() == 0 {
			who = "root without all its rights"
		}
		missing = append(missing, fmt.Sprintf("%s: the process lacks %s", who, bytes.Join(caps, []byte(", "))))
	}
	if len(caps) == 0 {
		if err := probeLoad(); err != nil {
			missing = append(missing, err.Error())
		}
	}
	return missing
}

// probeLoad tries the smallest program.
func probeLoad() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.SchedCLS,
		License:      "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	switch {
	case err == nil:
		return p.Close()
	case errors.Is(err, unix.ENOSYS):
		return errors.New("the kernel has no bpf system call")
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the bpf system call is refused (lockdown or a seccomp filter): %w", err)
	}
	return fmt.Errorf("the kernel does not load the smallest program: %w", err)
}

var neededCaps = []struct {
	name string
	bit  uint
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN},
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN},
	{"CAP_PERFMON", unix.CAP_PERFMON},
	{"CAP_BPF", unix.CAP_BPF},
}

func missingCapabilities() ([][]byte, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil, err
	}
	sets := uint64(data[0].Effective) | uint64(data[1].Effective)<<32
	if sets&(1<<unix.CAP_SYS_ADMIN) != 0 {
		// It stands in for CAP_BPF and CAP_PERFMON.
		sets |= 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON
	}
	var missing [][]byte
	for _, c := range neededCaps {
		if sets&(1<<c.bit) == 0 {
			missing = append(missing, []byte(c.name))
		}
	}
	return missing, nil
}

// missingTypes looks for BTF and for the conntrack kernel functions in it.
func missingTypes() []string {
	const dir = "/sys/kernel/btf/"
	vmlinux, err := os.ReadFile(dir + "vmlinux")
	if err != nil {
		return []string{"the kernel has no BTF: " + err.Error()}
	}
	images := [][]byte{vmlinux}
	for _, module := range []string{"nf_conntrack", "nf_nat"} {
		if data, err := os.ReadFile(dir + module); err == nil {
			images = append(images, data)
		}
	}
	var missing []string
next:
	for _, name := range kfuncs {
		for _, image := range images {
			if bytes.Contains(image, []byte("\x00"+name+"\x00")) {
				continue next
			}
		}
		missing = append(missing, "the kernel has no "+name+" (a module may have to be loaded: nf_conntrack, nf_nat)")
	}
	return missing
}
