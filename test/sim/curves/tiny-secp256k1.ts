/** libsecp256k1 in WebAssembly, whose checks of signatures and tweaks of keys are made once. */
import * as native from 'tiny-secp256k1'
import { remembered } from './remember.ts'

export * from 'tiny-secp256k1'
export const isXOnlyPoint = remembered(native.isXOnlyPoint)
export const verifySchnorr = remembered(native.verifySchnorr)
export const xOnlyPointAddTweak = remembered(native.xOnlyPointAddTweak)
