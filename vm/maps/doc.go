// Package maps is the BPF maps of a machine: every type that a TC or XDP
// program can use, with the kernel's rules for creation, flags, errors and full
// tables, and the helpers that work on them.
//
// A Map has two sides. A program's helpers call the ...Elem methods with the CPU
// that runs them; a lookup returns the guest address of the value itself. The
// user's side has the semantics of the bpf system call: values are copies, a
// per-CPU value is that of every CPU, references to maps and programs are set
// as Go values and read as ids.
//
// Values, keys and the handle that a program's map pointer points to lie in
// guest memory. The handle is laid out as the profile's struct bpf_map, so that
// a program may read map->max_entries. What a deleted element occupied stays
// accessible until the map reuses it: that is what a program sees under the
// kernel's RCU, where memory of elements is not given back while it runs.
//
// # Order
//
// A hash iterates by bucket, and within a bucket newest first, where the bucket
// is the kernel's hash of the key under a seed. The kernel draws the seed; here
// it comes from the machine's seed and the map's id, or is 0 with
// BPF_F_ZERO_SEED, as in the kernel: two runs agree, and with BPF_F_ZERO_SEED
// the machine and the kernel agree. A full pass over an unchanged map sees each
// key once; NextKey of a key that is not there starts at the first.
//
// # Parallel use
//
// Maps may be used from several CPUs and by the user at once. Each map has a
// lock for its structure, never held while a callback runs. The bytes of values
// are the program's to share, as in the kernel: a copy of a value into or out of
// a map reads and writes whole words, but only BPF_F_LOCK or a spin lock makes a
// value change as a whole.
//
// The package may use vm, kernel, record, clock and errno. Start at New and Map.
package maps
