/**
 * Loaded with `--import` before anything else: all processes of all worlds share what the curves' libraries computed. Each of eight processes
 * checks the same signatures and reads the same points; that is a function of the bytes alone, and nobody's code is another by it. A run
 * without this file gives the same logs, later.
 */
import { registerHooks } from 'node:module'

const STAND_INS: Readonly<Record<string, string>> = {
  'tiny-secp256k1': new URL('./curves/tiny-secp256k1.ts', import.meta.url).href,
  '@noble/curves/secp256k1.js': new URL('./curves/noble-secp256k1.ts', import.meta.url).href,
}

registerHooks({
  resolve(specifier, context, nextResolve) {
    const url = STAND_INS[specifier]
    // The stand-in itself gets the library.
    if (url === undefined || context.parentURL === url) return nextResolve(specifier, context)
    return { url, format: 'module-typescript', shortCircuit: true }
  },
})
