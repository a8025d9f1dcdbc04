/** BLS12-381 in WebAssembly, ready when this module is: what the pairing precompiles and point evaluation share. */
import * as mcl from 'mcl-wasm'

await mcl.init(mcl.BLS12_381)
// Points as Ethereum writes them: compressed, big endian, flags in the first bits.
mcl.setETHserialization(true)

export { mcl }
