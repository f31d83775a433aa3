package vm

// retired is an object whose memory must stay until some runs have ended.
type retired struct {
	obj  *Object
	at   Site
	runs []run
}

// run is the run that a CPU is in: its number among all of that CPU.
type run struct {
	cpu int
	n   uint64
}

// FreeLater is Memory.Free for an object that programs on other CPUs may find
// without holding it, as under the kernel's RCU: the object lives until every
// program that runs now has ended. self is the CPU that gives it up, whose own
// program must not use it any more; nil where that is not known.
func (m *Machine) FreeLater(o *Object, at Site, self *CPU) {
	m.mu.Lock()
	var runs []run
	for id, c := range m.cpus {
		if c == nil && (self == nil || id != self.ID) {
			runs = append(runs, run{id, m.runs[id]})
		}
	}
	if runs != nil {
		m.retired = append(m.retired, retired{o, at, runs})
	}
	m.mu.Unlock()
	if runs == nil {
		m.Mem.Free(o, at)
	}
}

// endRun notes that the run of a CPU has ended and returns what can be freed
// now. The caller holds m.mu.
func (m *Machine) endRun(cpu int) (free []retired) {
	m.runs[cpu]++
	if len(m.retired) == 0 {
		return nil
	}
	keep := m.retired[:0]
	for _, r := range m.retired {
		if m.mayUse(r) {
			keep = append(keep, r)
		} else {
			free = append(free, r)
		}
	}
	clear(m.retired[len(keep):])
	m.retired = keep
	return free
}

// mayUse reports whether one of the runs goes on.
func (m *Machine) mayUse(r retired) bool {
	for _, w := range r.runs {
		if m.cpus[w.cpu] == nil && m.runs[w.cpu] == w.n {
			return true
		}
	}
	return false
}
