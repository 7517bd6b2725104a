use core::arch::wasm32::unreachable;
use core::panic::PanicInfo;

/// Ends the instance. A component cannot write a message; the host reports the trap.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unreachable()
}
