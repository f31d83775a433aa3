package base

import "github.com/bpfct/bpfct/vm"

var flowFuncs = map[string]vm.Func{
	"bpf_throw":       throw,
	"bpf_rdonly_cast": readOnlyCast,
}

// throw leaves the program with the cookie in r1.
func throw(_ *vm.CPU, args *[5]uint64) (uint64, error) {
	return 0, &vm.Exception{Cookie: args[0]}
}

// readOnlyCast only changes what the verifier takes the pointer for.
func readOnlyCast(_ *vm.CPU, args *[5]uint64) (uint64, error) { return args[0], nil }
