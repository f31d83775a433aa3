package verifier

import (
	"math"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// mapField checks that r points to the field of a kind in a map's value
// (check_map_field_pointer).
func (e *env) mapField(regno uint8, r *state.Reg, kind record.Kind) error {
	if !r.Var.IsConst() {
		return e.reject(errno.EINVAL, "R%d doesn't have constant offset. %s has to be at the constant offset", regno, kind)
	}
	if !hasBTF(r.Map) {
		return e.reject(errno.EINVAL, "map '%s' has to have BTF in order to use %s", r.Map.Name, kind)
	}
	f := r.Map.Record.Find(kind)
	if f == nil {
		return e.reject(errno.EINVAL, "map '%s' has no valid %s", r.Map.Name, kind)
	}
	if off := int64(r.Var.Value) + int64(r.Off); off != int64(f.Offset) {
		return e.reject(errno.EINVAL, "off %d doesn't point to 'struct %s' that is at %d", off, kind, f.Offset)
	}
	return nil
}

// processTimer is the timer that a helper is passed (process_timer_func).
func (e *env) processTimer(c *call, regno uint8, r *state.Reg) error {
	if err := e.mapField(regno, r, record.Timer); err != nil {
		return err
	}
	c.m, c.mapUID = r.Map, r.MapUID
	return nil
}

// workArg is the bpf_wq or bpf_task_work that a kfunc is passed.
func (e *env) workArg(c *kcall, i int, r *state.Reg, kind record.Kind) error {
	if r.Type != state.PtrToMapValue {
		return e.reject(errno.EINVAL, "arg#%d doesn't point to a map value", i)
	}
	if err := e.mapField(uint8(i+1), r, kind); err != nil {
		return err
	}
	c.m, c.mapUID = r.Map, r.MapUID
	return nil
}

// setTaskWorkCallback is for callback(map, key, value) of
// bpf_task_work_schedule_*(task, work, map, callback).
func setTaskWorkCallback(_ *env, caller, callee *state.Frame) error {
	mapArgs(callee, caller.Regs[3].Map, caller.Regs[3].MapUID)
	callee.InAsyncCallback = true
	callee.CallbackRet = state.RetRange{Min: math.MinInt32, Max: math.MaxInt32}
	return nil
}
