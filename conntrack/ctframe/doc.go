// Package ctframe reads frames for the connection tracker: it turns the bytes
// that package packet took apart into the values that package conntrack wants.
//
// [Fill] is all there is to it. It allocates nothing and decides nothing: what
// is wrong with a header is reported to the tracker, which calls it INVALID.
package ctframe
