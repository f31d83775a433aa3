package enginetest

import "github.com/bpfct/bpfct/vm"

// Loop is a bpf_loop for tests of callbacks: r1 times the function r2 with the
// number of the round and r3, until one returns not 0.
func Loop(c *vm.CPU, args *[5]uint64) (uint64, error) {
	for i := range uint64(uint32(args[0])) {
		r, err := c.Call(args[1], i, args[2])
		if err != nil {
			return 0, err
		}
		if r != 0 {
			return i + 1, nil
		}
	}
	return uint64(uint32(args[0])), nil
}

// Throw is a bpf_throw.
func Throw(_ *vm.CPU, args *[5]uint64) (uint64, error) {
	return 0, &vm.Exception{Cookie: args[0]}
}

// ProgArray is a program array for tests of tail calls.
type ProgArray []*vm.Program

// Program is the program at index.
func (a ProgArray) Program(index uint32) *vm.Program {
	if uint64(index) >= uint64(len(a)) {
		return nil
	}
	return a[index]
}
