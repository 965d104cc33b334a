;; Moves its whole memory about without end: few instructions, much work in each.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(memory (export "memory") 160)
(func (export "notify") (param i32) (result i32)
  (loop (memory.copy (i32.const 0) (i32.const 4194304) (i32.const 4194304)) (br 0)) (unreachable))
