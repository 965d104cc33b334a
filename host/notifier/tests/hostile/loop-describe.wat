;; Never says what it is, so nothing can be told to it.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "describe") (result i32)
  (loop (br 0)) (unreachable))
