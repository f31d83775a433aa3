// Package replay sends the packets of a capture through the connection tracking
// of one network namespace, as a Linux router that forwards them does: tracked in
// prerouting, translated as their connection says, confirmed in postrouting. The
// clock follows the stamps. Programs may see each packet before.
//
// There is no rule set, no routing and no device here: a packet that is tracked is
// forwarded, also an invalid one.
//
// Start at [New], which makes a [Player], and [Player.Play], which plays one packet
// and says in a [Record] what became of it. [Text] and [JSON] write records.
//
// It may use everything below package trial, and that.
package replay
