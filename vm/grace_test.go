package vm

import "testing"

// waitingCode runs until told to end.
type waitingCode struct{ started, end chan struct{} }

func (w waitingCode) Compile(*Program) (Code, error) { return w, nil }
func (w waitingCode) Name() string                   { return "waiting" }
func (w waitingCode) Run(*CPU, uint64) (uint64, error) {
	w.started <- struct{}{}
	<-w.end
	return 0, nil
}
func (w waitingCode) Call(*CPU, int, [5]uint64) (uint64, error) { return 0, nil }

func TestFreeLaterWaitsForOtherRuns(t *testing.T) {
	code := waitingCode{make(chan struct{}), make(chan struct{})}
	m := New(Config{Engine: code, CPUs: 3})
	p := &Program{Name: "waits"}
	if err := m.Compile(p); err != nil {
		t.Fatal(err)
	}
	object := func() *Object {
		o, err := m.Mem.Alloc(ObjectSpec{Kind: KindAlloc, Size: 8})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	idle := object()
	m.FreeLater(idle, Site{}, nil)
	if idle.Live() {
		t.Error("an object outlives its end though nothing runs")
	}
	done := make(chan error, 2)
	start := func(cpu int) *CPU {
		var self *CPU
		go func() {
			_, err := m.Run(p, RunOptions{CPU: cpu, Setup: func(c *CPU) { self = c }})
			done <- err
		}()
		<-code.started
		return self
	}
	first := start(0)
	alone := object()
	m.FreeLater(alone, Site{}, first)
	if alone.Live() {
		t.Error("an object outlives its end though only the program that gave it up runs")
	}
	start(1)
	shared, unknown := object(), object()
	m.FreeLater(shared, Site{}, first)
	m.FreeLater(unknown, Site{}, nil)
	start(2) // too late to have seen either
	if !shared.Live() || !unknown.Live() {
		t.Error("an object ends while another program runs")
	}
	for range 3 {
		code.end <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if shared.Live() || unknown.Live() {
		t.Error("an object lives though all runs have ended")
	}
}
