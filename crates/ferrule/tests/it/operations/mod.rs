//! A process in the hands of those who run it: it ends without losing a request, takes up new files, tells its supervisor,
//! and says what it does in lines and traces.

mod drain;
mod logs;
mod reload;
mod restart;
mod scene;
mod supervisor;
mod traces;
