// Package live runs programs on the real kernel.
package live
