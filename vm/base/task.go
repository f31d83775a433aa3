package base

import (
	"fmt"
	"sync"

	"github.com/bpfct/bpfct/vm"
)

// tasks has the idle task of each CPU that a program asked for: a struct
// task_struct as the profile's kernel lays it out, of which the ids (0), the name,
// the flags and the relatives (itself) are filled in.
type tasks struct {
	mu   sync.Mutex
	made map[*vm.CPU]*vm.Object // guarded by mu
}

const idleFlags = 0x2 | 0x200000 // PF_IDLE | PF_KTHREAD

// current is the address of the task that the CPU runs.
func (t *tasks) current(c *vm.CPU, _ *[5]uint64) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.made[c]; o != nil {
		return o.Addr(), nil
	}
	size, err := c.M.Profile.Sizeof("task_struct")
	if err != nil {
		return 0, c.Fault(vm.IllegalInsn, "", "the current task: %v", err)
	}
	o, err := c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindBTF, Name: "struct task_struct", Size: size, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	set := func(member string, write func(b []byte)) {
		if off, n, err := c.M.Profile.Field("task_struct", member); err == nil && off+n <= size {
			write(o.Bytes()[off : off+n])
		}
	}
	set("comm", func(b []byte) { copy(b[:len(b)-1], idleName(c)) })
	set("flags", func(b []byte) { le.PutUint32(b, idleFlags) })
	for _, relative := range []string{"group_leader", "real_parent", "parent"} {
		set(relative, func(b []byte) { le.PutUint64(b, o.Addr()) })
	}
	if t.made == nil {
		t.made = make(map[*vm.CPU]*vm.Object)
	}
	t.made[c] = o
	return o.Addr(), nil
}

// idleName is the name of a CPU's idle task.
func idleName(c *vm.CPU) string { return fmt.Sprintf("swapper/%d", c.ID) }
