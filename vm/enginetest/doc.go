// Package enginetest has one table of tests that every engine passes.
//
// An engine's own test calls Run. The tests need no kernel and no map or helper
// implementation: an Env gives a program named objects and Go functions. Env is
// exported for tests of an engine that are of no use to others.
package enginetest
