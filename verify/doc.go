// Package verify answers for an object what loading it on a kernel would: each of its
// programs is linked alone and given to package verifier, and a refusal is explained.
//
// Collection makes a Report; its WriteText is what bpfct verify prints.
package verify
