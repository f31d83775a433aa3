package conntrack

// Check looks whether what must always hold of a quiet table does.
var Check = check
