;; Computes without end.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "notify") (param i32) (result i32)
  (loop (br 0)) (unreachable))
