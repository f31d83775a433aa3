// Package trial runs the programs of an object on packets and writes down
// everything that can be seen of it afterwards: return values, packets, trace
// lines, variables, maps, connections. It does so on bpfct or on the running
// kernel from one Plan, in one form of Report, so that two reports can be compared.
//
// Start at Plan; Run and RunKernel make a Report, Compare tells how two differ.
package trial
