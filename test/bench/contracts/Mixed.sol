// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// Calls that are heavy in one way each, for benches.
contract Mixed {
    mapping(uint256 => uint256) public slots;
    uint256 public counter;

    event Done(uint256 indexed kind, uint256 value);

    /// Ten new slots and ten that were written before.
    function store(uint256 seed) external {
        uint256 from = uint256(keccak256(abi.encode(seed, msg.sender)));
        for (uint256 i = 0; i < 10; i++) slots[from + i] = seed + i + 1;
        for (uint256 i = 0; i < 10; i++) slots[(seed + i) % 64] += 1;
        emit Done(1, from);
    }

    /// Arithmetic, memory and hashes; no storage but a counter.
    function compute(uint256 seed) external {
        uint256 x = seed;
        for (uint256 i = 0; i < 300; i++) {
            x = uint256(keccak256(abi.encode(x, i)));
            x = mulmod(x, seed | 1, type(uint256).max) ^ (x >> 7);
        }
        counter = x;
        emit Done(2, x);
    }

    /// A recovered signer, SHA-256, a sum on bn254 and a modular power.
    function precompiles(uint256 seed) external {
        bytes32 hash = sha256(abi.encode(seed));
        address signer = ecrecover(hash, 27, bytes32(uint256(0x79be667e)), bytes32(seed | 1));
        bytes memory sum = call(address(6), abi.encode(uint256(1), uint256(2), uint256(1), uint256(2)));
        uint256 m = type(uint256).max - 188;
        bytes memory power = call(
            address(5), abi.encode(uint256(32), uint256(32), uint256(32), uint256(hash), seed, m)
        );
        counter = uint256(keccak256(abi.encode(signer, sum, power)));
        emit Done(3, counter);
    }

    function call(address to, bytes memory input) private view returns (bytes memory) {
        (bool ok, bytes memory output) = to.staticcall(input);
        require(ok);
        return output;
    }
}
