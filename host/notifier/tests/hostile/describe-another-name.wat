;; Says that it is the built-in `webhook`: it goes by the name that the operator gave it all the same.
;; expect: described: `hostile` `webhook`, `webhook` (0)
;; call: describe

(data (i32.const 16) "webhook")
