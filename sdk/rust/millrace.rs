// Columns in and out for kernels in Rust: the Arrow C Data Interface as Millrace lays it into a kernel's memory (docs/kernels.md).
#![allow(dead_code)]
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{null, null_mut};

/// Memory behind the static data, bump by bump: a kernel's memory does not grow, which is all Rust's own allocator asks for.
/// What was taken last can be given back or grow; the rest is forgotten before the next row group.
struct Bump;
static mut NEXT: usize = 0;

extern "C" { static __heap_base: u8; }

unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NEXT == 0 { NEXT = std::ptr::addr_of!(__heap_base) as usize }
        let at = (NEXT + layout.align() - 1) & !(layout.align() - 1);
        let end = core::arch::wasm32::memory_size(0) << 16;
        if at > end || layout.size() > end - at { return null_mut() }
        NEXT = at + layout.size();
        at as *mut u8
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if at as usize + layout.size() == NEXT { NEXT = at as usize }
    }
}

#[global_allocator]
static ALLOCATOR: Bump = Bump;

/// Memory from here on has never been written: the host clears no more than this between row groups.
#[no_mangle]
pub unsafe extern "C" fn heap_top() -> usize { NEXT.max(std::ptr::addr_of!(__heap_base) as usize) }

/// What process(), finish(), merge() and finish_merge() return.
pub const GIVE: i32 = 3;
pub const MORE: i32 = 1;
pub const NOTHING: i32 = 2;

#[repr(C)]
pub struct Array {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *const *const u8,
    pub children: *const *const Array,
    pub dictionary: *const u8,
    pub release: u32,
    pub private_data: u32,
    pub pad: u32,
}

#[repr(C)]
pub struct Schema {
    pub format: *const u8,
    pub name: *const u8,
    pub metadata: *const u8,
    pub pad: u32,
    pub flags: i64,
    pub n_children: i64,
    pub children: *const *const Schema,
    pub dictionary: *const u8,
    pub release: u32,
    pub private_data: u32,
}

/// One column of an input batch.
#[derive(Clone, Copy)]
pub struct Column { validity: *const u8, data: *const u8, text: *const u8 }

impl Column {
    /// # Safety
    /// `batch` is one that process() or merge() got.
    pub unsafe fn of(batch: *const Array, index: usize) -> Column {
        let array = &**(*batch).children.add(index);
        Column { validity: *array.buffers, data: *array.buffers.add(1), text: if array.n_buffers > 2 { *array.buffers.add(2) } else { null() } }
    }
    pub fn is_null(&self, row: usize) -> bool { unsafe { !self.validity.is_null() && (*self.validity.add(row >> 3) >> (row & 7)) & 1 == 0 } }
    pub fn f64(&self, row: usize) -> f64 { unsafe { *(self.data as *const f64).add(row) } }
    pub fn f32(&self, row: usize) -> f32 { unsafe { *(self.data as *const f32).add(row) } }
    pub fn i64(&self, row: usize) -> i64 { unsafe { *(self.data as *const i64).add(row) } }
    pub fn i32(&self, row: usize) -> i32 { unsafe { *(self.data as *const i32).add(row) } }
    pub fn text(&self, row: usize) -> &[u8] {
        unsafe {
            let offsets = self.data as *const i32;
            let (from, to) = (*offsets.add(row), *offsets.add(row + 1));
            std::slice::from_raw_parts(self.text.add(from as usize), (to - from) as usize)
        }
    }
}

pub enum Values { I32(Vec<i32>), I64(Vec<i64>), F64(Vec<f64>), Text(Vec<i32>, Vec<u8>) }

/// A column of the output.
pub struct OutColumn { name: &'static str, values: Values, buffers: [*const u8; 3] }

impl OutColumn {
    fn rows(&self) -> usize {
        match &self.values { Values::I32(v) => v.len(), Values::I64(v) => v.len(), Values::F64(v) => v.len(), Values::Text(o, _) => o.len() - 1 }
    }
    fn format(&self) -> &'static str {
        match self.values { Values::I32(_) => "i\0", Values::I64(_) => "l\0", Values::F64(_) => "g\0", Values::Text(..) => "u\0" }
    }
    fn clear(&mut self) {
        match &mut self.values { Values::I32(v) => v.clear(), Values::I64(v) => v.clear(), Values::F64(v) => v.clear(), Values::Text(o, b) => { o.truncate(1); b.clear() } }
    }
}

/// The columns a kernel gives. Names end with a zero: "length\0".
pub struct Columns { columns: Vec<OutColumn>, arrays: Vec<Array>, list: Vec<*const Array>, schemas: Vec<Schema>, schema_list: Vec<*const Schema>, root: Option<Schema>, none: [*const u8; 1] }

impl Columns {
    pub fn new(columns: Vec<(&'static str, Values)>) -> Columns {
        let columns = columns.into_iter().map(|(name, values)| OutColumn { name, values, buffers: [null(); 3] }).collect();
        Columns { columns, arrays: vec![], list: vec![], schemas: vec![], schema_list: vec![], root: None, none: [null()] }
    }
    pub fn clear(&mut self) { for c in &mut self.columns { c.clear() } }
    pub fn push_i32(&mut self, column: usize, value: i32) { if let Values::I32(v) = &mut self.columns[column].values { v.push(value) } }
    pub fn push_i64(&mut self, column: usize, value: i64) { if let Values::I64(v) = &mut self.columns[column].values { v.push(value) } }
    pub fn push_f64(&mut self, column: usize, value: f64) { if let Values::F64(v) = &mut self.columns[column].values { v.push(if value.is_nan() { f64::NAN } else { value }) } }
    pub fn push_text(&mut self, column: usize, value: &[u8]) {
        if let Values::Text(o, b) = &mut self.columns[column].values { b.extend_from_slice(value); o.push(b.len() as i32) }
    }
    /// # Safety
    /// `out` is what process() or finish() got. The rows stay untouched until the next call.
    pub unsafe fn give(&mut self, out: *mut Array) -> i32 {
        let rows = self.columns.first().map_or(0, |c| c.rows()) as i64;
        if rows == 0 { return NOTHING }
        self.arrays.clear();
        for c in &mut self.columns {
            let n = match &c.values {
                Values::I32(v) => { c.buffers = [null(), v.as_ptr() as *const u8, null()]; 2 }
                Values::I64(v) => { c.buffers = [null(), v.as_ptr() as *const u8, null()]; 2 }
                Values::F64(v) => { c.buffers = [null(), v.as_ptr() as *const u8, null()]; 2 }
                Values::Text(o, b) => { c.buffers = [null(), o.as_ptr() as *const u8, b.as_ptr()]; 3 }
            };
            self.arrays.push(Array { length: rows, null_count: 0, offset: 0, n_buffers: n, n_children: 0, buffers: c.buffers.as_ptr(), children: null(), dictionary: null(), release: 0, private_data: 0, pad: 0 });
        }
        self.list = self.arrays.iter().map(|a| a as *const Array).collect();
        *out = Array { length: rows, null_count: 0, offset: 0, n_buffers: 1, n_children: self.list.len() as i64, buffers: self.none.as_ptr(), children: self.list.as_ptr(), dictionary: null(), release: 0, private_data: 0, pad: 0 };
        GIVE
    }
    pub fn schema(&mut self) -> *const Schema {
        self.schemas = self.columns.iter().map(|c| schema(c.format(), c.name)).collect();
        self.schema_list = self.schemas.iter().map(|s| s as *const Schema).collect();
        let mut root = schema("+s\0", "\0");
        root.n_children = self.schema_list.len() as i64;
        root.children = self.schema_list.as_ptr();
        self.root = Some(root);
        self.root.as_ref().map_or(null(), |r| r as *const Schema)
    }
}

fn schema(format: &str, name: &str) -> Schema {
    Schema { format: format.as_ptr(), name: name.as_ptr(), metadata: null(), pad: 0, flags: 0, n_children: 0, children: null(), dictionary: null(), release: 0, private_data: 0 }
}

/// What a scalar function returns that gives text: UTF-8 bytes of its own (kept in a static, say) or of an argument. They are copied before the next call.
pub fn give_text(text: &[u8]) -> u64 { (text.len() as u64) << 32 | text.as_ptr() as usize as u64 }

/// A parameter of `name=value` lines.
pub fn param<'a>(params: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(params).ok()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}
