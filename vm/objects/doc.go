// Package objects has what a program makes for itself: objects from
// bpf_obj_new, the lists and red-black trees that hold them, and the pointers
// of map values that own them.
//
// Links lie in guest memory, in the fields that the kernel keeps them in and in
// the kernel's layout, so that a tree has the shape that a program would see in
// Linux; reference counts are kept beside. A node's third or fourth word says
// which head or root it is in; 0 means none.
//
// The rules that the verifier enforces are checked again: the lock that lies in
// the same map value or object as a head must be held, only a held reference may
// be pushed, dropped or stored, and a node must be what the head says it contains.
// A pointer to an object that a list or tree owns stays usable until the object
// is freed, also after the lock is given back; Linux forbids that at load time.
//
// Start at Register, FreeRecord and Local.
package objects
