;; Never has a place for what the host hands over.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (loop (br 0)) (unreachable))
