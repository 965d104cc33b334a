;; Does not even begin.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func $start (loop (br 0)))
(start $start)
