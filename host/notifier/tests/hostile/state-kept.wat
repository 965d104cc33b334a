;; Crashes when it finds anything that an earlier call has left.
;; expect: delivered

(global $calls (mut i32) (i32.const 0))
(func (export "notify") (param i32) (result i32)
  (if (i32.or (global.get $calls) (i32.load (i32.const 8192))) (then (unreachable)))
  (global.set $calls (i32.const 1))
  (i32.store (i32.const 8192) (i32.const 1))
  (drop (memory.grow (i32.const 1)))
  (if (i32.ne (memory.size) (i32.const 5)) (then (unreachable)))
  (i32.const 256))
