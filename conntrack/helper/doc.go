// Package helper has the connection tracking helpers: they read what a control
// connection says and tell the tracker which connections will follow.
//
// A rule set puts a connection in the care of a helper by [Attach]; at the end
// of the way of each of its packets, before Confirm, [Help] is called with the
// payload. Where the connection is translated, addresses in the payload are
// too: the answer has the edits that are to be made.
//
// FTP (active, passive and extended) and TFTP are here. There is no SIP, no IRC
// and no SYN proxy.
package helper
