package base

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/vm"
)

var sectionFuncs = map[string]vm.Func{
	"bpf_rcu_read_lock":     func(c *vm.CPU, _ *[5]uint64) (uint64, error) { c.RCU++; return 0, nil },
	"bpf_rcu_read_unlock":   func(c *vm.CPU, _ *[5]uint64) (uint64, error) { return 0, leave(c, &c.RCU, "RCU read-side") },
	"bpf_preempt_disable":   func(c *vm.CPU, _ *[5]uint64) (uint64, error) { c.Preempt++; return 0, nil },
	"bpf_preempt_enable":    func(c *vm.CPU, _ *[5]uint64) (uint64, error) { return 0, leave(c, &c.Preempt, "preempt-disabled") },
	"bpf_local_irq_save":    irqSave,
	"bpf_local_irq_restore": irqRestore,
}

func leave(c *vm.CPU, n *int, name string) error {
	if *n == 0 {
		return c.Fault(vm.LockViolation, "", "the program is in no %s section", name)
	}
	*n--
	return nil
}

// irqSave writes to r1, in place of the processor's flags, which a program may
// not look at, how many sections were open.
func irqSave(c *vm.CPU, args *[5]uint64) (uint64, error) {
	flags, err := c.Write("R1", args[0], 8)
	if err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint64(flags, uint64(c.IRQ))
	c.IRQ++
	return 0, nil
}

func irqRestore(c *vm.CPU, args *[5]uint64) (uint64, error) {
	flags, err := c.Read("R1", args[0], 8)
	if err != nil {
		return 0, err
	}
	if err := leave(c, &c.IRQ, "IRQ-disabled"); err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint64(flags) != uint64(c.IRQ) {
		c.IRQ++
		return 0, c.Fault(vm.LockViolation, "R1", "not the flags that were saved last")
	}
	return 0, nil
}
