package base

import (
	"fmt"

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
}

const (
	rootCgroupID = 1
	taskCommLen  = 16 // TASK_COMM_LEN
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
	name := fmt.Sprintf("swapper/%d", c.ID)
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
