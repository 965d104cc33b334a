;; Crashes before it is there.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed

(func $start (unreachable))
(start $start)
