namespace TorchAO.Models.Evaluation;

/// <summary>How far a model's predictions are from those of a reference, usually itself before quantization.</summary>
/// <param name="Mean">The mean of KL(reference ‖ model) over all predictions, in nats (Kullback and Leibler 1951).</param>
/// <param name="Largest">The largest of them.</param>
/// <param name="Agreement">The share of predictions in which both find the same token likeliest.</param>
public sealed record ReferenceDivergence(double Mean, double Largest, double Agreement);
