namespace TorchAO.Checkpoints;

/// <summary>The kinds of lies a file of a checkpoint can tell, one for each check a reader makes.</summary>
public enum CheckpointError
{
    /// <summary>The file ends before its fixed-size beginning does.</summary>
    FileTooShort,

    /// <summary>The header is said to be longer than the file.</summary>
    HeaderBeyondFile,

    /// <summary>The header is said to be larger than the format allows.</summary>
    HeaderTooLarge,

    /// <summary>A text is not valid UTF-8 or Unicode.</summary>
    InvalidUtf8,

    /// <summary>A text that should be JSON is not.</summary>
    InvalidJson,

    /// <summary>The JSON of a header is not an object.</summary>
    HeaderNotObject,

    /// <summary>A JSON object has the same key twice.</summary>
    DuplicateKey,

    /// <summary>A required field is absent.</summary>
    MissingField,

    /// <summary>A field that the format does not know is present.</summary>
    UnknownField,

    /// <summary>A field has the wrong JSON type.</summary>
    InvalidField,

    /// <summary>Metadata is not an object of strings.</summary>
    InvalidMetadata,

    /// <summary>A dtype that the format does not define.</summary>
    UnknownDType,

    /// <summary>A dtype that the format defines and libtorch tensors cannot hold, such as one below a byte.</summary>
    UnsupportedDType,

    /// <summary>A dimension is negative or no whole number, or there are too many of them.</summary>
    InvalidShape,

    /// <summary>The bytes that a shape asks for exceed 64 bits.</summary>
    ShapeOverflow,

    /// <summary>Offsets that are not two whole numbers from zero up.</summary>
    InvalidOffsets,

    /// <summary>The end of a tensor lies before its beginning.</summary>
    ReversedOffsets,

    /// <summary>A tensor reaches beyond the end of the file.</summary>
    OffsetsOutsideFile,

    /// <summary>The bytes of a tensor are not as many as shape and dtype need.</summary>
    ByteCountMismatch,

    /// <summary>Two tensors claim the same bytes.</summary>
    OverlappingTensors,

    /// <summary>Bytes between two tensors belong to none.</summary>
    HoleBetweenTensors,

    /// <summary>Bytes after the last tensor belong to none.</summary>
    TrailingBytes,

    /// <summary>A stored value is none of its dtype, such as a boolean that is neither 0 nor 1.</summary>
    InvalidValue,

    /// <summary>The file has no tensor of the name asked for.</summary>
    TensorNotFound,

    /// <summary>The file became shorter while it was read.</summary>
    FileChanged,

    /// <summary>A model, or a feature of one, that the file describes correctly and that is not supported here.</summary>
    UnsupportedModel,

    /// <summary>A file that a folder or an index promises is absent.</summary>
    MissingFile,

    /// <summary>A tensor has another shape than the model.</summary>
    ShapeMismatch,

    /// <summary>The model has no place for a tensor of the file.</summary>
    UnexpectedTensor,

    /// <summary>A tensor has another type than the model.</summary>
    DTypeMismatch,

    /// <summary>Tensors that the model has as one are two in the file.</summary>
    TieMismatch,

    /// <summary>A buffer that no file holds has no values either, or a module cannot take values from a file.</summary>
    NoValues,

    /// <summary>The file is no quantized checkpoint: it lacks the description of its weights.</summary>
    NotQuantized,

    /// <summary>The description of quantized weights has a version that this library does not read.</summary>
    UnknownSchemaVersion,

    /// <summary>A weight is stored in a format that the catalogue does not have.</summary>
    UnknownFormat,

    /// <summary>The pieces or parameters of a quantized weight do not make a weight of its format.</summary>
    InvalidComponent,

    /// <summary>The bytes of a tensor are not those that were written.</summary>
    ChecksumMismatch,

    /// <summary>The model computes something else than the model that was saved.</summary>
    ProbeMismatch,

    /// <summary>A file that an index names is absent.</summary>
    MissingShard,

    /// <summary>An index names a file outside of its folder.</summary>
    ShardOutsideFolder,

    /// <summary>An index lists a tensor that its file does not hold.</summary>
    ListedTensorAbsent,

    /// <summary>Two files of a checkpoint hold the same tensor.</summary>
    TensorInTwoShards,

    /// <summary>The bytes of all tensors are not as many as an index says.</summary>
    TotalSizeMismatch,

    /// <summary>A tokenizer's file contradicts its format or itself.</summary>
    InvalidTokenizer,

    /// <summary>A tokenizer that its file describes correctly and that is not supported here.</summary>
    UnsupportedTokenizer,
}
