package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// A packet is handled in a soft interrupt of a CPU that has nothing else to do:
// the current task is the idle one. It has no process id, belongs to root and to
// the root control group, and has no user memory.
var cpuFuncs = map[string]vm.Func{
	"bpf_get_prandom_u32":                random,
	"bpf_get_smp_processor_id":           processor,
	"bpf_get_numa_node_id":               zero,
	"bpf_get_current_pid_tgid":           zero,
	"bpf_get_current_uid_gid":            zero,
	"bpf_get_current_comm":               comm,
	"bpf_get_current_cgroup_id":          rootCgroup,
	"bpf_get_current_ancestor_cgroup_id": ancestorCgroup,
	"bpf_get_ns_current_pid_tgid":        namespacePID,
	"bpf_get_branch_snapshot":            branches,
}

const (
	rootCgroupID = 1
	taskCommLen  = 16         // TASK_COMM_LEN
	rootPIDInode = 0xeffffffc // of the initial process id namespace (PROC_PID_INIT_INO)
	pidInfoSize  = 8          // struct bpf_pidns_info
)

func random(c *vm.CPU, _ *[5]uint64) (uint64, error) { return uint64(c.Rand.Uint32()), nil }

func processor(c *vm.CPU, _ *[5]uint64) (uint64, error) { return uint64(c.ID), nil }

func zero(*vm.CPU, *[5]uint64) (uint64, error) { return 0, nil }

// comm writes the idle task's name to r1, padded to the r2 bytes there.
func comm(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	clear(dst)
	name := idleName(c)
	copy(dst, name[:min(len(name), taskCommLen-1)])
	if len(dst) > 0 {
		dst[len(dst)-1] = 0
	}
	return 0, nil
}

func rootCgroup(*vm.CPU, *[5]uint64) (uint64, error) { return rootCgroupID, nil }

// ancestorCgroup is the root's id at level 0; the root has no other ancestors.
func ancestorCgroup(_ *vm.CPU, args *[5]uint64) (uint64, error) {
	if int32(args[0]) != 0 {
		return 0, nil
	}
	return rootCgroupID, nil
}

// namespacePID writes the idle task's ids, 0, to the r4 bytes at r3 if its process
// id namespace is that of device r1 and inode r2. The host has but the initial one,
// on a device that is not looked at.
func namespacePID(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R3", args[2], uint32(args[3]))
	if err != nil {
		return 0, err
	}
	clear(dst)
	if len(dst) != pidInfoSize || args[0]>>32 != 0 || args[1] != rootPIDInode {
		return errno.EINVAL.Neg(), nil
	}
	return 0, nil
}

// branches is bpf_get_branch_snapshot, with flags in r3, on a processor that
// keeps no record of branches.
func branches(_ *vm.CPU, args *[5]uint64) (uint64, error) {
	if args[2] != 0 {
		return errno.EINVAL.Neg(), nil
	}
	return errno.ENOENT.Neg(), nil
}
