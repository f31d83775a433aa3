package explain

import "github.com/bpfct/bpfct/internal/errno"

// sections are the classes about locks and other sections.
func sections() []Class {
	return []Class{
		{
			Name: "call-under-lock", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"function calls are not allowed while holding a lock", "global function calls are not allowed while holding a lock,", "%s is not allowed while holding a lock"},
			What:     "a function is called while a lock is held",
			Why:      "Between bpf_spin_lock and bpf_spin_unlock only plain code may run, and the list and tree functions that the lock guards.",
			Help:     []string{"do the call before the lock is taken, or after; copy what is needed out of the locked part"},
			facts:    lockTaken,
		},
		{
			Name: "wrong-lock", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"held lock and object are not in the same allocation", "bpf_spin_unlock of different lock", "bpf_spin_unlock without taking a lock",
				"Locking two bpf_spin_locks are not allowed", "bpf_spin_lock at off=%d must be held for {want}%s", "bpf_res_spin_unlock of different lock",
				"%s of different lock", "%s without taking a lock",
			},
			What: "the lock that is held is not the one that belongs to this",
			Why:  "A list or tree is guarded by the lock in the same map value, section or object. It must be held, and no other, and the same lock must be given back.",
			Help: []string{"look the value up once, and take the lock and use the list through that one pointer"}, facts: lockTaken,
		},
		{
			Name: "left-section", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"%s cannot be used inside {section}%s-ed region", "%d %s(s) missing", "bpf_spin_unlock is missing",
				"%s would lead to reference leak",
			},
			What: "the program leaves (or does what is not allowed) inside a section that was opened",
			Why:  "Locks, RCU sections, and sections without preemption or interrupts that a program opens must be closed on every path before it ends.",
			Help: []string{"close the section on each path: bpf_spin_unlock, bpf_rcu_read_unlock, bpf_preempt_enable, bpf_local_irq_restore"},
		},
		{
			Name: "may-sleep", Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{
				"sleepable helper {func}%s#%d in %s", "kernel func {func}%s is sleepable within %s", "program must be sleepable to call sleepable kfunc {func}%s",
				"helper call might sleep in a non-sleepable prog", "global functions that may sleep are not allowed in non-sleepable context,",
				"Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
				"Sleepable programs can only use array, hash, ringbuf and local storage maps",
			},
			What: "something that may sleep is used where sleeping is not possible",
			Why:  "tc and XDP programs run where the kernel cannot sleep.",
			Help: []string{"do the work in a bpf_wq callback, or in user space"},
		},
	}
}

// lockTaken notes the newest lock that was taken.
func lockTaken(q *query) []note {
	for i := q.end - 1; i >= 0; i-- {
		switch name := callName(q.steps[i].in); name {
		case "bpf_spin_lock", "bpf_res_spin_lock", "bpf_res_spin_lock_irqsave":
			return []note{{i, "the lock is taken here"}}
		case "bpf_spin_unlock", "bpf_res_spin_unlock", "bpf_res_spin_unlock_irqrestore":
			return []note{{i, "the lock is given back here"}}
		}
	}
	return nil
}
